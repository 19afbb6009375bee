"""What the upstream file may say of a message: by its name, where that comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from gateway.core.messages import PIN, Content, Message, Otp
from gateway.mapping.accounts import Account

#: The least that Viber takes, in seconds (wire: smsbat.md, 2).
SHORTEST_TTL = 30
#: Something of a message of an account, at a moment in milliseconds since the epoch.
About = Callable[[Message, Account, int], Any]


class Known:
    """What some names stand for, those of them that stand for something of a message."""

    def __init__(self, names: Iterable[str]) -> None:
        read, found_out = (sorted(known.keys() & names) for known in (_READ, _FOUND_OUT))
        self.names = (*read, *found_out)
        self._read = _reader([_READ[name] for name in read])
        self._found_out = tuple(_FOUND_OUT[name] for name in found_out)

    def values(self, message: Message, account: Account, now: int) -> tuple[Any, ...]:
        """In the order of ``names``, at a moment in milliseconds since the epoch."""
        return (*self._read(message), *[about(message, account, now) for about in self._found_out])

    def scope(self, message: Message, account: Account, now: int) -> dict[str, Any]:
        """The same by their names."""
        return dict(zip(self.names, self.values(message, account, now), strict=True))


def _reader(paths: Sequence[str]) -> Callable[[Message], tuple[Any, ...]]:
    """Reads them all at once: one by one it takes several times as long."""
    if len(paths) > 1:
        return attrgetter(*paths)
    readers = [attrgetter(path) for path in paths]
    return lambda message: tuple([read(message) for read in readers])


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
