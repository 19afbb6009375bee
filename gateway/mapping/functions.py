"""What a mapping file says, as trees of a few kinds of nodes; each writes the code that evaluates it.

``write`` returns an expression, to be used once, behind the lines that it needs. ``None`` stands for what is not there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Protocol, TypeVar

from gateway.mapping.code import Code

Scope = Mapping[str, Any]
Evaluate = Callable[[Scope], Any]
_NOTHING_KNOWN: Scope = {}
#: Of a whole number in 64 bits.
_MOST_DIGITS = 18
Asked = TypeVar("Asked")
Result = TypeVar("Result")


class Node(Protocol):
    """One value of a tree."""

    def write(self, code: Code) -> str:
        """The expression for it."""


def evaluator(node: Node, known: Scope = _NOTHING_KNOWN) -> Evaluate:
    """The function that evaluates a tree in a scope; what is ``known`` already stands in it, and is not looked up."""
    code = in_scope(known)
    return code.function("scope", node.write(code))


def in_scope(known: Scope = _NOTHING_KNOWN) -> Code:
    """The code of a function of a ``scope``, in which names are looked up."""
    code = Code(lambda code, name: code.constant(known[name]) if name in known else f"get({name!r})")
    code.line("get = scope.get")
    return code


def when_asked(make: Callable[[], Callable[[Asked], Result]]) -> Callable[[Asked], Result]:
    """A function that is made when it is first asked: most of a file's never are."""
    made: Callable[[Asked], Result] | None = None

    def function(asked: Asked) -> Result:
        nonlocal made
        if made is None:
            made = make()
        return made(asked)

    return function


@dataclass(frozen=True, slots=True)
class Literal:
    """What stands in the file as it is."""

    value: Any

    def write(self, code: Code) -> str:
        """A constant."""
        return code.constant(self.value)


NOTHING = Literal(None)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a name stands for."""

    name: str

    def write(self, code: Code) -> str:
        """Looked up."""
        return code.known(self.name)


@dataclass(frozen=True, slots=True)
class Template:
    """A text with references in it: ``texts`` are the pieces between them, one more than there are names."""

    texts: Sequence[str]
    names: Sequence[str]

    def write(self, code: Code) -> str:
        """The pieces joined; what is not there is blank."""
        pieces = [repr(self.texts[0])]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            value = code.kept(code.known(name))
            pieces += f"'' if {value} is None else str({value})", repr(text)
        return f"''.join(({', '.join(pieces)},))"


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping; without those of its members that are not there."""

    members: Sequence[tuple[str, Node]]

    def write(self, code: Code) -> str:
        """What is there of it; ``None`` for nothing."""
        built = code.kept("{}")
        for key, member in self.members:
            put_if_there(code, member, (f"{built}[{code.constant(key)}] = ", ""))
        return f"({built} or None)"


@dataclass(frozen=True, slots=True)
class Tuple:
    """Several values in their order, also those that are not there."""

    members: Sequence[Node]

    def write(self, code: Code) -> str:
        """All of them."""
        return f"({''.join([f'{node.write(code)}, ' for node in self.members])})"


@dataclass(frozen=True, slots=True)
class Listed:
    """A list; without those of its members that are not there."""

    members: Sequence[Node]

    def write(self, code: Code) -> str:
        """What is there of it; ``None`` for nothing."""
        built = code.kept("[]")
        for member in self.members:
            put_if_there(code, member, (f"{built}.append(", ")"))
        return f"({built} or None)"


def put_if_there(code: Code, member: Node, put: tuple[str, str]) -> None:
    """Write what is done with a value, unless it is not there; ``put`` is what stands around it."""
    if isinstance(member, Literal):
        if member.value is not None:
            code.line(member.write(code).join(put))
        return
    value = code.kept(member.write(code))
    with code.under(f"if {value} is not None"):
        code.line(value.join(put))


@dataclass(frozen=True, slots=True)
class Test:
    """What a guard asks of a name: whether it is there, or whether it is one of some values."""

    name: str
    is_there: bool | None
    allowed: Sequence[Any] = ()

    def write(self, code: Code) -> str:
        """A condition."""
        if self.is_there is None:
            return f"{code.known(self.name)} in {code.constant(self.allowed)}"
        return f"{code.known(self.name)} is {'not ' if self.is_there else ''}None"


@dataclass(frozen=True, slots=True)
class Guarded:
    """What is there only under a condition."""

    tests: Sequence[Test]
    body: Node

    def write(self, code: Code) -> str:
        """Nothing, if one of the tests fails."""
        result = code.kept("None")
        with code.under(f"if {' and '.join([test.write(code) for test in self.tests]) or True}"):
            code.line(f"{result} = {self.body.write(code)}")
        return result


@dataclass(frozen=True, slots=True)
class First:
    """The first value that is there."""

    members: Sequence[Node]

    def write(self, code: Code) -> str:
        """One behind the other, as long as there is none."""
        result = code.kept("None")
        for member in self.members:
            with code.under(f"if {result} is None"):
                code.line(f"{result} = {member.write(code)}")
        return result


@dataclass(frozen=True, slots=True)
class Case:
    """What a table has for a value, written as text."""

    subject: Node
    table: Mapping[str, Node]
    otherwise: Node

    def write(self, code: Code) -> str:
        """One word behind the other."""
        subject, result = code.kept(f"str({self.subject.write(code)})"), code.kept("None")
        for i, (word, node) in enumerate(self.table.items()):
            with code.under(f"{'elif' if i else 'if'} {subject} == {word!r}"):
                code.line(f"{result} = {node.write(code)}")
        with code.under("else" if self.table else "if True"):
            code.line(f"{result} = {self.otherwise.write(code)}")
        return result


@dataclass(frozen=True, slots=True)
class Each:
    """What is made of each member of a collection; ``keys`` are its fields and what they are called."""

    name: str
    keys: Sequence[tuple[str, str]]
    make: Node

    def write(self, code: Code) -> str:
        """All that is made; without what is nothing."""
        made = code.kept("[]")
        with self.over(code):
            put_if_there(code, self.make, (f"{made}.append(", ")"))
        return made

    @contextlib.contextmanager
    def over(self, code: Code) -> Iterator[None]:
        """What is written meanwhile is done with each."""
        member, field_of = code.variable(), code.constant(_field_of)
        with code.under(f"for {member} in {code.known(self.name)} or ()"):
            code.line("pass")  # should nothing else be done with it
            with code.knowing({key: code.kept(f"{field_of}({member}, {field!r})") for field, key in self.keys}):
                yield


def _field_of(member: Any, field: str) -> Any:
    return member.get(field) if isinstance(member, dict) else getattr(member, field, None)


@dataclass(frozen=True, slots=True)
class Made:
    """What a function makes of a value, and of what is named besides."""

    function: Callable[..., Any]
    subject: Node
    others: Sequence[Node] = ()

    def write(self, code: Code) -> str:
        """A call."""
        arguments = [node.write(code) for node in (self.subject, *self.others)]
        return f"{code.constant(self.function)}({', '.join(arguments)})"


def pair(key: Any, value: Any) -> tuple[str, Any]:
    """A key, as a text, and a value, whatever it is."""
    return str(key), value


def replaced(text: Any, what: str, by: Any) -> str | None:
    """A text with another in place of a part of it."""
    return None if text is None else str(text).replace(what, str(by))


def moment(at: int | None, form: str, zone: tzinfo | None) -> Any:
    """A time in milliseconds since the epoch, in the account's zone, or in seconds as ``epoch``."""
    if at is None:
        return None
    return at // 1000 if form == "epoch" else datetime.fromtimestamp(at / 1000, zone or UTC).strftime(form)


def as_text(value: Any) -> str | None:
    """A number as text."""
    return None if value is None else str(value)


def as_integer(value: Any) -> int | None:
    """Digits as a number, in which most readers have 64 bits; a number stays one, and anything else is absent."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS else None
    return value if isinstance(value, int) else None


def flat(name: str, found: Any) -> dict[str, Any]:
    """What is known of one thing, as names that values refer to."""
    known = asdict(found) if is_dataclass(found) and not isinstance(found, type) else found
    return {f"{name}.{field}": value for field, value in known.items()}
