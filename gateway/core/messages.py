"""The neutral words that every dialect and the upstream are translated to and from."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What SMSBAT's answer means for a message, whatever its wording (wire: smsbat.md, 5)."""

    ACCEPTED = "accepted"
    INVALID = "invalid"
    AUTHENTICATION = "authentication"
    FORBIDDEN = "forbidden"
    BALANCE = "balance"
    RATE_LIMITED = "rate_limited"
    TEMPORARY = "temporary"
    UNKNOWN = "unknown"


#: Outcomes after which a message goes out, or may.
_NOT_REFUSED = frozenset({Outcome.ACCEPTED, Outcome.UNKNOWN})
#: Outcomes that speak of the SMSBAT credential, not of any one message.
CREDENTIAL_OUTCOMES = frozenset({Outcome.AUTHENTICATION, Outcome.FORBIDDEN})


class Concern(StrEnum):
    """Which part of a message a refusal is about."""

    RECIPIENT = "recipient"
    SENDER = "sender"
    TEXT = "text"


class State(StrEnum):
    """Where a stored message stands. ``ACCEPTED`` is the only state with work left to submit.

    A ``PLANNED`` one waits: for its mailing to be sent, or to see whether another message fails.
    """

    PLANNED = "planned"
    ACCEPTED = "accepted"
    SUBMITTED = "submitted"
    REFUSED = "refused"
    UNPAIRED = "unpaired"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


#: The parameter of a one-time password that is the code, and what stands in the place of a code that is not kept.
PIN = "pin"
STRUCK_OUT = "…"


@dataclass(frozen=True, slots=True)
class Otp:
    """A one-time password: SMSBAT's template, and what is put into it. ``validity`` is in seconds."""

    template: str
    language: str
    parameters: Mapping[str, str | int]
    validity: int | None = None


class Content(NamedTuple):
    """What a message says: a text, a picture (its public address), or both.

    A button has a text and a link; ``fallback_text`` is for an SMS instead of Viber, which a ``fallback_sender`` asks
    for. With ``otp`` a Viber message is that template, and the text is only for the SMS instead of it. ``secret`` is a
    code in the text. That and the code of ``otp`` are struck out once the message has gone out.
    """

    text: str | None
    image: str | None = None
    button_text: str | None = None
    button_link: str | None = None
    fallback_text: str | None = None
    fallback_sender: str | None = None
    secret: str | None = None
    otp: Otp | None = None

    @property
    def plain(self) -> bool:
        """Text alone, without anything that only a rich Viber message can show."""
        return self.button_text is None and self.image is None and self.otp is None

    @property
    def code(self) -> str | None:
        """What only its recipient is to know: the secret, or a one-time password's pin."""
        return self.secret or (str(self.otp.parameters.get(PIN) or "") if self.otp else None) or None

    @property
    def struck_out(self) -> Content:
        """The same without its code."""
        text = self.text.replace(self.code, STRUCK_OUT) if self.text and self.code else self.text
        otp = self.otp and dataclasses.replace(self.otp, parameters={**self.otp.parameters, PIN: STRUCK_OUT})
        return self._replace(text=text, fallback_text=None, secret=None, otp=otp)


class Message(NamedTuple):
    """One recipient, one content; its ``id`` is Messagio's ``msg_id`` and SMSBAT's ``customerMessageId``.

    ``recipient`` is echoed as the client sent it, ``digits`` is what numbers are compared by.
    It is sent at ``due_at`` and not before, and has ``ttl`` seconds from then on; ``accepted_at`` and ``due_at`` are in
    milliseconds since the epoch.
    ``number`` is what dialects with integer ids call it, ``batch`` the number of the mailing or text that it is of. One
    that ``follows`` another message is sent only if that was not delivered by ``due_at``.
    """

    id: str
    submission: str
    position: int
    account: str
    dialect: str
    channel: str
    sender: str
    recipient: str
    digits: str
    content: Content
    ttl: int
    reference: str | None
    report: bool
    accepted_at: int
    due_at: int
    number: int | None = None
    batch: int | None = None
    follows: str | None = None

    @property
    def expires_at(self) -> int:
        """The moment, in milliseconds since the epoch, after which it is not submitted any more."""
        return self.due_at + self.ttl * 1000


class Receipt(NamedTuple):
    """What SMSBAT said of one message when it was submitted.

    ``concern`` and ``detail`` come with refusals only; ``detail`` is SMSBAT's own wording, for operators.
    """

    outcome: Outcome
    upstream_id: str | None = None
    parts: int | None = None
    concern: Concern | None = None
    detail: str | None = None

    @property
    def refused(self) -> bool:
        """Whether the message does not go out."""
        return self.outcome not in _NOT_REFUSED


ACCEPTED = Receipt(Outcome.ACCEPTED)

#: What people write into numbers; a line's end is what PHP's ``file`` leaves behind each.
_PUNCTUATION = re.compile(r"[\s+\-.()\[\]{}]")
#: Digits of an international number.
_SHORTEST, _LONGEST = 7, 15
_PHONE = re.compile(rf"[0-9]{{{_SHORTEST},{_LONGEST}}}")
_WHOLE_FLOAT = re.compile(rf"{_PHONE.pattern}\.0")


def phone_digits(written: str) -> str | None:
    """The digits of an international number however it is written; ``None`` for what is none (wire: smsby.md, 2)."""
    if written.isascii() and written.isdigit() and not written.startswith("00"):
        # As nearly all are written.
        return written if _SHORTEST <= len(written) <= _LONGEST else None
    if _WHOLE_FLOAT.fullmatch(written):
        # A number that some program keeps as a floating one, as tables of numbers with gaps do.
        written = written[:-2]
    digits = _PUNCTUATION.sub("", written).removeprefix("00")
    return digits if _PHONE.fullmatch(digits) else None


def only_digits(number: str) -> str:
    """A phone number as it is compared: its ASCII digits, nothing else."""
    return number if number.isascii() and number.isdigit() else "".join(c for c in number if c in "0123456789")
