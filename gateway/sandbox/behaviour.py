"""What the sandbox can do wrong, and how to ask for it: by option for every call, or by recipient number.

The country code 999 is not assigned, so no real number meets a fault by chance.
"""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """One way to behave. Those up to ``STUCK`` concern one message, the others its whole call."""

    UNDELIVERABLE = "undeliverable"
    PERMANENT_ERROR = "permanent-error"
    REJECTED = "rejected"
    STUCK = "stuck"
    INVALID = "invalid"
    SLOW = "slow"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    ERROR_AFTER = "error-after"
    BROKEN_JSON = "broken-json"
    BALANCE = "balance"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    TOO_MANY = "too-many"


#: Fault by the first five digits of the recipient, with what it is, for the help page.
NUMBERS: dict[str, tuple[Fault, str]] = {
    "99901": (Fault.UNDELIVERABLE, "accepted, ends as undeliverable"),
    "99902": (Fault.PERMANENT_ERROR, "accepted, ends as permanenterror"),
    "99903": (Fault.REJECTED, "its entry alone is rejected, inside a successful answer"),
    "99904": (Fault.INVALID, "the whole call is refused with 422 INVALID_RECIPIENT"),
    "99905": (Fault.SLOW, "the call is answered after three seconds"),
    "99906": (Fault.TIMEOUT, "the call is taken and never answered, the first time"),
    "99907": (Fault.UNAVAILABLE, "the call is answered with 503 and not taken, every time"),
    "99908": (Fault.ERROR_AFTER, "the call is taken and answered with 500, the first time"),
    "99909": (Fault.BROKEN_JSON, "the call is taken and answered with cut-off JSON, the first time"),
    "99910": (Fault.BALANCE, "the call is refused with 402"),
    "99911": (Fault.UNAUTHORIZED, "the call is refused with 401"),
    "99912": (Fault.FORBIDDEN, "the call is refused with 403"),
    "99913": (Fault.TOO_MANY, "the call is refused with 429 and Retry-After: 1, the first time"),
    "99914": (Fault.STUCK, "accepted, stays in processing"),
}

#: Faults that happen once to a message, so that its retry can be watched.
ONCE = frozenset({Fault.TIMEOUT, Fault.ERROR_AFTER, Fault.BROKEN_JSON, Fault.TOO_MANY})
#: Faults after which SMSBAT has the call's messages all the same.
TAKEN = frozenset({Fault.SLOW, Fault.TIMEOUT, Fault.ERROR_AFTER, Fault.BROKEN_JSON})
#: Faults of one message; its call goes on.
OF_ONE_MESSAGE = frozenset({Fault.UNDELIVERABLE, Fault.PERMANENT_ERROR, Fault.REJECTED, Fault.STUCK})


def fault_of(recipient: str) -> Fault | None:
    """The fault that a number asks for."""
    named = NUMBERS.get(recipient.lstrip("+")[:5])
    return named[0] if named else None


#: Numbers whose owners do more than get a message, told by webhook only.
LIVELY: dict[str, str] = {"99921": "delivered, then seen", "99922": "delivered, seen, then answered by a reply"}


def numbers_help() -> str:
    """The table of numbers, a paragraph each."""
    texts = {**{prefix: text for prefix, (_, text) in NUMBERS.items()}, **LIVELY}
    return "\n\n".join(f"{prefix}…  {text}" for prefix, text in texts.items())


#: What stands behind ``/partner/`` and what the script does; ``flaky-N`` refuses each body N times.
SCRIPTS: dict[str, str] = {
    "ok": "answers 200",
    "slow": "answers 200 after three seconds",
    "dead": "takes the request and never answers",
    "flaky-2": "answers 500 the first two times it is told something, then 200",
    "500": "answers 500, as any other number",
    "404": "answers 404",
    "redirect": "answers 302 to a script that answers 200",
}


def scripts_help() -> str:
    """The table of partners' scripts, a paragraph each."""
    return "Partners' scripts:\n\n" + "\n\n".join(f"/partner/{name}  {text}" for name, text in SCRIPTS.items())
