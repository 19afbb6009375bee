"""When SMSBAT is asked what became of a message (wire: smsbat.md, 7)."""

from __future__ import annotations

from gateway.core.messages import Message
from gateway.mapping.accounts import Account

#: In milliseconds: the first look at a message, the longest pause between two, and how long after its time is over.
FIRST = 5_000
LONGEST = 600_000
GRACE = 3_600_000
#: How long the SMS of a cascade has when its account does not say.
_SMS = 86_400_000


def first_check(account: Account, last: int, now: int) -> int:
    """When to look first at a message that SMSBAT just took, and that somebody wants to know of.

    SMSBAT tells by itself of messages of an account with a webhook: they are looked at only when it never did.
    """
    return last if account.hooked else now + FIRST


def last_check(message: Message, account: Account) -> int | None:
    """When to look last at a message; ``None`` when nobody wants to know."""
    # Whoever gave a message a number asks by it, whatever is configured now.
    wanted = message.number is not None or (message.report and message.dialect in account.told)
    return watched_until(message, account) if wanted else None


def watched_until(message: Message, account: Account) -> int:
    """The end of a message's time, the SMS behind it included, and a grace."""
    fallback = account.fallback(message.dialect)
    sms = fallback.ttl * 1000 if fallback and fallback.ttl else _SMS
    has_sms = fallback is not None or message.content.fallback_sender is not None
    return message.expires_at + (sms if has_sms else 0) + GRACE


def next_check(sent_at: int, until: int, now: int) -> int:
    """Quick while a message is young, slower with its age, and once more at the end."""
    pause = min(LONGEST, max(FIRST, (now - sent_at) // 4))
    return min(now + pause, max(now + FIRST, until))
