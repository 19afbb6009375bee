"""One content to many numbers, as a client asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.messages import Content


class MailingState(StrEnum):
    """``DRAFT``: its messages are still being written down. A ``CONFIRMED`` one goes out when it is due."""

    DRAFT = "draft"
    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    REFUSED = "refused"


def batch_name(account: str, number: int) -> str:
    """What a mailing is called where it must be told from those of other accounts."""
    return f"{account}#{number}"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One number of a mailing, as written; ``digits`` is ``None`` for what is none. ``content`` is its own, if any."""

    phone: str
    digits: str | None
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Mailing:
    """``due_at`` is in milliseconds since the epoch, ``None`` for at once; ``problem`` is why it is refused.

    ``picture`` is the id of an uploaded picture that it shows.
    """

    account: str
    dialect: str
    channel: str
    sender: str
    sender_id: int | None
    name: str | None
    kind: str | None
    content: Content
    ttl: int
    due_at: int | None = None
    problem: str | None = None
    picture: str | None = None
    recipients: Sequence[Recipient] = ()
