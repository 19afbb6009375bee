"""The places between two effects: where a process that ends leaves one thing done and the next one not.

Each is named once, and reached where it lies. Nothing happens there, unless a test has armed a hook: the ledger ends
the process at every one of them and compares the books. No setting, option or environment variable arms one.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Point(StrEnum):
    """What is done already, and what is not yet."""

    UNDERSTOOD = "request understood, nothing stored"
    WRITES_TAKEN = "writes taken, no transaction"
    IN_TRANSACTION = "rows written, not committed"
    COMMITTED = "committed, not told"
    STORED = "submission stored, not queued"
    CALL_LEAVES = "messages taken for a call, call not written"
    CALL_ANSWERED = "SMSBAT's answer read, not settled"
    SETTLED = "settlement stored, not told"
    ANSWER_LEAVES = "answer to the client known, not written"
    ANSWERED = "an answer written, to a client or to SMSBAT"
    HOOK_READ = "webhook read, report not stored"
    HOOK_STORED = "report stored, webhook not answered"
    STATUS_READ = "status read, report not stored"
    CALLBACK_LEAVES = "callback taken, not written"
    CALLBACK_ANSWERED = "callback answered, not struck off"
    CALLBACK_STRUCK_OFF = "callback struck off"
    MAILING_DUE = "mailing due, not released"
    MAILING_RELEASED = "some of a mailing released, not queued"
    BULK_OWED = "end of a bulk request owed, nobody woken"
    LEFT_FOUND = "a dead node's messages found, not taken over"
    LEFT_TAKEN_OVER = "a dead node's messages taken over, not read"
    DELAYED_DUE = "delayed messages due, not read"
    READ_BACK = "messages read back, not queued"


#: Those that every message comes to: Python 3.11 finds a member of an enumeration by a call, each time it is named.
UNDERSTOOD, STORED, ANSWER_LEAVES, ANSWERED = Point.UNDERSTOOD, Point.STORED, Point.ANSWER_LEAVES, Point.ANSWERED

Hook = Callable[[Point], None]


_hook: Hook | None = None


def reach(point: Point) -> None:
    """Work has come to this point. Any thread may say so."""
    if _hook is not None:
        _hook(point)


def arm(hook: Hook) -> None:
    """Call ``hook`` at every point from now on; for tests alone."""
    global _hook  # noqa: PLW0603 one process, one hook
    _hook = hook
