"""What the upstream file may say of a message: by its name, where that comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.messages import PIN, Content, Message, Otp
from gateway.mapping.accounts import Account
from gateway.mapping.code import Code
from gateway.mapping.functions import Node

#: The least that Viber takes, in seconds (wire: smsbat.md, 2).
SHORTEST_TTL = 30
#: Something of a message of an account, at a moment in milliseconds since the epoch. What it is asked of has its names.
About = Callable[[Message, Account, int], Any]


def about(node: Node) -> About:
    """The function that evaluates a tree for a message."""
    code = Code(_look_up)
    made: About = code.function("message, account, now", node.write(code))
    return made


def _look_up(code: Code, name: str) -> str:
    if name in _READ:
        return f"message.{_READ[name]}"
    # A name that nothing has is complained of elsewhere.
    return f"{code.constant(_FOUND_OUT[name])}(message, account, now)" if name in _FOUND_OUT else "None"


def _of_otp(get: Callable[[Otp], Any]) -> About:
    return lambda message, account, now: get(message.content.otp) if message.content.otp else None


def _ttl(message: Message, account: Account, now: int) -> int:
    # A message that waited does not begin its life anew at SMSBAT.
    # A clock that was set back makes nobody's time longer.
    return max(SHORTEST_TTL, min(message.ttl, -(-(message.expires_at - now) // 1000)))


def _sms_fallback(message: Message, account: Account, now: int) -> bool:
    # Without a word to say there is no SMS: a picture alone may have none.
    content = message.content
    wanted = content.fallback_sender or account.fallback(message.dialect)
    return bool(wanted) and bool(content.fallback_text or content.text)


def _fallback_sender(message: Message, account: Account, now: int) -> str:
    fallback = account.fallback(message.dialect)
    return message.content.fallback_sender or (fallback.sender if fallback else None) or message.sender


def _fallback_ttl(message: Message, account: Account, now: int) -> int | None:
    fallback = account.fallback(message.dialect)
    return fallback.ttl if fallback else None


#: Where it stands in a message.
_READ: Mapping[str, str] = {
    **{name: name for name in Message._fields if name not in ("content", "ttl")},
    **{name: f"content.{name}" for name in Content._fields if name not in ("otp", "fallback_sender")},
    "plain": "content.plain",
}
#: How the rest is found out.
_FOUND_OUT: Mapping[str, About] = {
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
MESSAGE_NAMES = frozenset({*_READ, *_FOUND_OUT})
#: Those that have a few values, whatever clients send, and none that is nobody's business.
OF_FEW_VALUES = frozenset({"channel", "variant", "plain", "otp_template", "sms_fallback", "viber_type", "dialect"})
