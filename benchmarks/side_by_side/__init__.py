"""The gateway beside what would be used instead of it, in front of the same stand-in SMSBAT and the same load.

``machine`` and ``processes`` start and watch servers, ``standin`` is SMSBAT, ``load`` is wrk, ``rivals`` and ``lua``
are what is compared, ``contenders`` says how each is started, ``points`` under which conditions; ``figures`` makes
ratios, ``targets`` what is required of them, ``report`` the tables.
"""
