"""When SMSBAT is asked what became of a message (wire: smsbat.md, 7)."""

from __future__ import annotations

from gateway.core.messages import Message
from gateway.mapping.accounts import Account

#: In milliseconds: the first look at a message, the longest pause between two, and how long after its time is over.
FIRST = 5_000
LONGEST = 600_000
GRACE = 3_600_000


def first_check(message: Message, account: Account, now: int) -> int | None:
    """When to look first at a message that SMSBAT just took; ``None`` when nobody wants to know.

    SMSBAT tells by itself of messages of an account with a webhook; at the end of such a message's time, silence is
    taken for an end all the same.
    """
    if not message.report or message.dialect not in account.told:
        return None
    return message.expires_at + GRACE if account.hooked else now + FIRST


def next_check(sent_at: int, expires_at: int, now: int) -> int:
    """Quick while a message is young, slower with its age, and once more when its time is over."""
    pause = min(LONGEST, max(FIRST, (now - sent_at) // 4))
    return min(now + pause, max(now + FIRST, expires_at + GRACE))
