"""What becomes of a message after SMSBAT took it. One table: a report moves a message forward or changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How far a message has come.

    ``UNDELIVERED`` is SMSBAT's word for failure, ``EXPIRED`` means that its time ran out, ``REJECTED`` that SMSBAT did
    not take it at all.
    """

    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    SEEN = "seen"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"


#: Failures: nothing follows them.
FAILED = frozenset({Status.UNDELIVERED, Status.EXPIRED, Status.REJECTED})
#: What partners are told of only if they ask.
INTERIM = frozenset({Status.QUEUED, Status.SENDING})
#: Nothing more is to be asked of SMSBAT.
FINAL = FAILED | {Status.DELIVERED, Status.SEEN}

#: From each status, what a report brings: the statuses gone through, the last of which is the new one.
_FAILURES = {status: (status,) for status in FAILED}
_DELIVERED, _SEEN = (Status.DELIVERED,), (Status.DELIVERED, Status.SEEN)
_STEPS: dict[Status | None, dict[Status, tuple[Status, ...]]] = {
    None: {
        Status.QUEUED: (Status.QUEUED,),
        Status.SENDING: (Status.SENDING,),
        Status.DELIVERED: _DELIVERED,
        Status.SEEN: _SEEN,
        **_FAILURES,
    },
    Status.QUEUED: {Status.SENDING: (Status.SENDING,), Status.DELIVERED: _DELIVERED, Status.SEEN: _SEEN, **_FAILURES},
    Status.SENDING: {Status.DELIVERED: _DELIVERED, Status.SEEN: _SEEN, **_FAILURES},
    # A subscriber can still open what was delivered.
    Status.DELIVERED: {Status.SEEN: (Status.SEEN,)},
    Status.SEEN: {},
    Status.UNDELIVERED: {},
    Status.EXPIRED: {},
    Status.REJECTED: {},
}


def steps(current: Status | None, reported: Status) -> tuple[Status, ...]:
    """The statuses that a message goes through when this is reported of it, none for what is old or contradicts.

    ``seen`` without ``delivered`` before it brings both (wire: messagio.md, A7).
    """
    return _STEPS[current].get(reported, ())


@dataclass(frozen=True, slots=True)
class Report:
    """A later fact about a message, which is named by the gateway's id or by SMSBAT's.

    ``channel`` really used and ``reason`` of a failure are there when SMSBAT tells them; ``at`` in milliseconds since
    the epoch is when the gateway learnt of it.
    """

    status: Status
    at: int
    id: str | None = None
    upstream_id: str | None = None
    channel: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a subscriber wrote back. ``id`` is SMSBAT's for it; ``message`` the message it answers, when it says so.

    ``by_id``: ``sender`` may be what SMSBAT calls the sender, and not its name.
    """

    id: str
    sender: str
    digits: str
    text: str | None
    media: str | None
    at: int
    message: str | None = None
    by_id: bool = False


class Stage(StrEnum):
    """What a client that asks is told of a message."""

    NEW = "new"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    UNDELIVERED = "undelivered"


_STAGES = {Status.DELIVERED: Stage.DELIVERED, Status.SEEN: Stage.READ, **dict.fromkeys(FAILED, Stage.UNDELIVERED)}


def stage(status: Status | None, ended: bool, told: bool, on_its_way: bool = False) -> Stage:
    """What to tell who asks; ``told``: somebody has asked since the message's end was known.

    Only then the end is told: before, the message is seen as sent once (wire: smsby.md, 4: a loop in use waits for
    exactly that). ``on_its_way``: SMSBAT took it a while ago, and tells by a webhook, which may tell of ends only.
    """
    if ended:
        return _STAGES.get(status or Status.REJECTED, Stage.UNDELIVERED) if told else Stage.SENT
    return Stage.SENT if status is Status.SENDING or on_its_way else Stage.NEW
