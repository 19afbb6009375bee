"""The small functions that values of a mapping file may be made with, compiled into closures.

Those whose form a page is written by are classes: what always stands there, mappings, and what repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

Scope = Mapping[str, Any]
Evaluate = Callable[[Scope], Any]


@dataclass(frozen=True, slots=True)
class Literal:
    """What stands in the file as it is."""

    value: Any

    def __call__(self, scope: Scope) -> Any:
        """The same whatever is known."""
        return self.value


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping; without those of its members that are not there."""

    members: Sequence[tuple[str, Evaluate]]

    def __call__(self, scope: Scope) -> Any:
        """What is there of it; ``None`` for nothing."""
        built = {}
        for key, member in self.members:
            value = member(scope)
            if value is not None:
                built[key] = value
        return built or None


@dataclass(frozen=True, slots=True)
class Each:
    """What is made of each member of a collection.

    ``keys`` are the fields of a member and what they are called; with ``closed`` nothing else is looked up.
    """

    name: str
    keys: Sequence[tuple[str, str]]
    make: Evaluate
    closed: bool

    def scopes(self, scope: Scope) -> Iterator[Scope]:
        """What is known of each, and with it of all around them if that is looked up."""
        for member in scope.get(self.name) or ():
            known = _known(member, self.keys)
            yield known if self.closed else {**scope, **known}

    def __call__(self, scope: Scope) -> list[Any]:
        """All that is made; without what is nothing."""
        return [made for inner in self.scopes(scope) if (made := self.make(inner)) is not None]


def first(members: Sequence[Evaluate]) -> Evaluate:
    """The first value that is there."""
    return lambda scope: next((value for member in members if (value := member(scope)) is not None), None)


def case(subject: Evaluate, table: Mapping[str, Evaluate], otherwise: Evaluate) -> Evaluate:
    """What the table has for a value, written as text."""
    return lambda scope: table.get(str(subject(scope)), otherwise)(scope)


def replaced(subject: Evaluate, what: str, by: Evaluate) -> Evaluate:
    """A text with another in place of a part of it."""

    def evaluate(scope: Scope) -> str | None:
        text = subject(scope)
        return None if text is None else str(text).replace(what, str(by(scope)))

    return evaluate


def moment(subject: Evaluate, form: str) -> Evaluate:
    """A time in milliseconds since the epoch, in the account's zone, or in seconds as ``epoch``."""

    def evaluate(scope: Scope) -> Any:
        at = subject(scope)
        if at is None:
            return None
        return at // 1000 if form == "epoch" else _local(at, scope.get("zone") or UTC).strftime(form)

    return evaluate


def _local(at: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at / 1000, zone)


def as_text(subject: Evaluate) -> Evaluate:
    """A number as text."""
    return lambda scope: None if (value := subject(scope)) is None else str(value)


def as_integer(subject: Evaluate) -> Evaluate:
    """Digits as a number; what is none stays as it is."""

    def evaluate(scope: Scope) -> Any:
        value = subject(scope)
        return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value

    return evaluate


def _known(member: Any, keys: Sequence[tuple[str, str]]) -> dict[str, Any]:
    if isinstance(member, dict):
        return {key: member.get(field) for field, key in keys}
    return {key: getattr(member, field, None) for field, key in keys}


def keyed(members: Evaluate) -> Evaluate:
    """Pairs as an object."""
    return lambda scope: dict(members(scope))


def flat(name: str, found: Any) -> dict[str, Any]:
    """What is known of one thing, as names that values refer to."""
    known = asdict(found) if is_dataclass(found) and not isinstance(found, type) else found
    return {f"{name}.{field}": value for field, value in known.items()}
