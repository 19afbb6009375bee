"""What the upstream file may say of a message: by its name, where that comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

from gateway.core.messages import PIN, Content, Message, Otp
from gateway.mapping.accounts import Account

#: The least that Viber takes, in seconds (wire: smsbat.md, 2).
SHORTEST_TTL = 30
#: Something of a message of an account, at a moment in milliseconds since the epoch.
About = Callable[[Message, Account, int], Any]
#: The names that something is made with, and what they stand for.
Known = tuple[tuple[str, About], ...]


def known_of(names: Iterable[str]) -> Known:
    """Those of ``names`` that stand for something of a message."""
    return tuple((name, _ABOUT[name]) for name in names if name in _ABOUT)


def scope_of(known: Known, message: Message, account: Account, now: int) -> dict[str, Any]:
    """What these names stand for."""
    return {name: about(message, account, now) for name, about in known}


def _of_message(name: str) -> About:
    get = attrgetter(name)
    return lambda message, account, now: get(message)


def _of_otp(get: Callable[[Otp], Any]) -> About:
    return lambda message, account, now: get(message.content.otp) if message.content.otp else None


def _ttl(message: Message, account: Account, now: int) -> int:
    # A message that waited does not begin its life anew at SMSBAT.
    # A clock that was set back makes nobody's time longer.
    return max(SHORTEST_TTL, min(message.ttl, -(-(message.expires_at - now) // 1000)))


def _sms_fallback(message: Message, account: Account, now: int) -> bool:
    # Without a word to say there is no SMS: a picture alone may have none.
    content = message.content
    return bool(account.sms_fallback or content.fallback_sender) and bool(content.fallback_text or content.text)


def _fallback_sender(message: Message, account: Account, now: int) -> str:
    fallback = account.sms_fallback
    return message.content.fallback_sender or (fallback.sender if fallback else None) or message.sender


def _fallback_ttl(message: Message, account: Account, now: int) -> int | None:
    return account.sms_fallback.ttl if account.sms_fallback else None


_ABOUT: Mapping[str, About] = {
    **{name: _of_message(name) for name in Message._fields if name != "content"},
    **{each.name: _of_message(f"content.{each.name}") for each in fields(Content) if each.name != "otp"},
    "plain": _of_message("content.plain"),
    "ttl": _ttl,
    "sms_fallback": _sms_fallback,
    "fallback_sender": _fallback_sender,
    "fallback_ttl": _fallback_ttl,
    "viber_type": lambda message, account, now: account.viber_type(message.sender),
    "variant": lambda message, account, now: account.variant,
    "otp_template": _of_otp(lambda otp: otp.template),
    "otp_language": _of_otp(lambda otp: otp.language),
    "otp_parameters": _of_otp(lambda otp: otp.parameters),
    "otp_pin": _of_otp(lambda otp: otp.parameters.get(PIN)),
    "otp_validity": _of_otp(lambda otp: otp.validity),
}
MESSAGE_NAMES = frozenset(_ABOUT)
