"""One documented parameter, compiled into the check that reads it from a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gateway.core.parts import PartsTable
from gateway.errors import Refusal
from gateway.mapping.code import Code
from gateway.mapping.conversions import BY_SPEC, PLAIN, Convert, Reading, TooLong, text_converter
from gateway.mapping.functions import Scope, flat, when_asked
from gateway.mapping.operations import NAME_FIELDS, RECORD_NAMES
from gateway.mapping.schema.parameter import Parameter
from gateway.mapping.source import Where
from gateway.mapping.values import Compiler, Holds
from gateway.wire.forms import Fields


@dataclass(frozen=True, slots=True)
class Faulty:
    """An entry of a list with something wrong in it, and what was understood of it."""

    refusal: Refusal
    values: Mapping[str, Any]


#: Puts values of a request among those that were read before. Raises ``Refusal`` with the parameter's name.
Put = Callable[[Reading], None]


@dataclass(frozen=True)
class ParameterCheck:
    """Reads and checks one parameter. ``spec`` is kept for explanations, ``members`` are those of an object."""

    name: str
    raw: bytes
    spec: Parameter
    default: Any
    #: What the request has under its name: one value, all of them, or a tree.
    sent: Callable[[Fields, bytes], Any]
    convert: Convert
    #: ``None`` without a condition.
    applies: Holds | None
    required: Callable[[Scope, Fields], bool]
    never_required: bool
    #: Whether its default, if it is not sent, can stand there before its turn: nobody asks for it earlier.
    early_default: bool
    wrong_when: tuple[Holds, ...]
    known_by_parts: bool
    #: Whether its value is what texts behind it are encoded in.
    names_codec: bool
    members: tuple[ParameterCheck, ...] = ()

    def is_sent(self, fields: Fields) -> bool:
        """Whether the request has it at all."""
        return fields.has_tree(self.raw) if self.members else fields.last(self.raw) is not None

    def is_missing(self, reading: Reading) -> bool:
        """Whether it is required and not there, as far as that can be told before it is read."""
        if self.default is not None or self.is_sent(reading.fields):
            return False
        return self.required(reading.values, reading.fields)

    @cached_property
    def put(self) -> Put:
        """Puts its value, or its default."""
        return reader([self])

    def write(self, code: Code) -> None:
        """The lines of a reader that do it."""
        me, value = code.constant(self), code.variable()
        sent = self._write_sent(code, me)
        applies = "" if self.applies is None else f" and {code.constant(self.applies)}(values, fields)"
        with code.under(f"if {sent}{applies}"):
            with code.under("try"):
                code.line(f"{value} = {code.constant(self.convert)}({sent}, reading)")
            with code.under("except ValueError as error"):
                code.line(f"raise {me}.refused(error) from error")
        with code.under("else"):
            code.line(f"{value} = {code.constant(self.default) if self.never_required else f'{me}.absent(reading)'}")
        code.line(f"values[{self.name!r}] = {value}")
        self._write_what_follows(code, me, value)

    def _write_sent(self, code: Code, me: str) -> str:
        """A variable that holds what the request has under its name."""
        if self.sent is not Fields.last:
            return code.kept(f"{code.constant(self.sent)}(fields, {self.raw!r})")
        sent = code.kept(f"sent.get({self.raw!r})")
        if not self.spec.ignored:
            with code.under(f"if nested and {code.constant(self.would_lose)}(reading)"):
                code.line(f"raise {me}.fault")
        return code.kept(f"({sent}[-1] or fields.last({self.raw!r})) if {sent} else None")

    def _write_what_follows(self, code: Code, me: str, value: str) -> None:
        if self.known_by_parts:
            with code.under(f"if {value} is not None"):
                code.line(f"values.update({code.constant(flat)}({self.name!r}, {value}))")
        for holds in self.wrong_when:
            with code.under(f"if {code.constant(holds)}(values, fields)"):
                code.line(f"raise {me}.fault")
        if self.names_codec:
            with code.under(f"if {value} is not None and not fields.unicode"):
                code.line(f"reading.codec = {value}")

    def would_lose(self, reading: Reading) -> bool:
        """Whether a JSON array has several entries for the one value that is read; all but the last would be lost."""
        entries = reading.fields.nested.get(self.raw)
        if not isinstance(entries, list):
            return False
        applies = self.applies is None or self.applies(reading.values, reading.fields)
        return applies and len([*filter(None, entries)]) > 1

    @property
    def fault(self) -> Refusal:
        """What is answered to a bad one, or to a missing one."""
        return Refusal(self.spec.error or "parameter", self.name)

    def refused(self, error: ValueError) -> Refusal:
        """What is answered to one that can't be read."""
        too_long = self.spec.too_long if isinstance(error, TooLong) else None
        return Refusal(too_long, self.name) if too_long else self.fault

    def absent(self, reading: Reading) -> Any:
        """What stands for one that was not sent. Raises ``Refusal`` when it had to be."""
        is_required = self.required(reading.values, reading.fields)
        if self.spec.type == "name" and self.default is not None:
            return self._by_default(reading, is_required)
        if is_required:
            raise self.fault
        return self.default

    def _by_default(self, reading: Reading, is_required: bool) -> Any:
        """The entry that stands for none; an account need not have it, unless one is required."""
        try:
            return self.convert(str(self.default).encode(), reading)
        except ValueError as error:
            if is_required:
                raise self.fault from error
            return None


def reader(checks: Iterable[ParameterCheck]) -> Put:
    """Puts the values of several parameters, one behind the other."""
    code = Code()
    code.line("fields, values = reading.fields, reading.values")
    code.line("sent, nested = fields.values, fields.nested")
    for check in checks:
        check.write(code)
    return code.function("reading", "None")


#: Types of which more is known than one value.
_KNOWN_BY_PARTS = frozenset({"name", "record", "object"})


def known_names(name: str, spec: Parameter) -> Iterator[str]:
    """What trees may call a parameter."""
    yield name
    inner: Iterable[str] = ()
    if spec.type == "name":
        inner = NAME_FIELDS
    elif spec.type == "record":
        inner = RECORD_NAMES.get(spec.of or "", ())
    elif spec.type == "file":
        inner = ("id", "address")
    elif spec.type == "object":
        inner = (each for member, its in (spec.members or {}).items() for each in known_names(member, its))
    yield from (f"{name}.{each}" for each in inner)
    if spec.parts:
        yield from (f"{name}.parts", f"{name}.length")


def compile_parameters(
    specs: Mapping[str, Parameter],
    compiler: Compiler,
    where: Where,
    recipients: int,
    parts: PartsTable | None,
    codec: str | None = None,
) -> tuple[ParameterCheck, ...]:
    """Compile the parameters that stand at ``where``; their guards may speak of each other.

    ``codec`` is the one that says what texts are encoded in.
    """
    names = frozenset(known for name, spec in specs.items() for known in known_names(name, spec))
    making = _Making(compiler, names, recipients, parts, codec)
    return tuple(making.check(name, spec, (*where, name)) for name, spec in specs.items())


@dataclass(frozen=True, slots=True)
class _Making:
    compiler: Compiler
    names: frozenset[str]
    recipients: int
    parts: PartsTable | None
    codec: str | None

    def check(self, name: str, spec: Parameter, where: Where) -> ParameterCheck:
        members: tuple[ParameterCheck, ...] = ()
        never_required = spec.required is False and not spec.members and not spec.wrong_when and spec.type != "name"
        # Those compiled before are those that are read before; a guard looks up nothing instead of nothing.
        asked_before = spec.default is not None and name in self.compiler.used
        if spec.members:
            members = compile_parameters(spec.members, self.compiler, (*where, "members"), self.recipients, self.parts)
        return ParameterCheck(
            name=name,
            raw=name.encode(),
            spec=spec,
            default=spec.default,
            sent=Fields.tree if members else Fields.all if spec.many else Fields.last,
            convert=self._whole(name, spec, self._converter(name, spec, where, members)),
            applies=self.compiler.guard(spec.only, (*where, "only"), self.names) if spec.only else None,
            required=_requirement(spec, self.compiler, where, self.names),
            never_required=never_required,
            early_default=never_required and not asked_before,
            wrong_when=tuple(
                self.compiler.guard(guard, (*where, "wrong_when", i), self.names)
                for i, guard in enumerate(spec.wrong_when)
            ),
            known_by_parts=spec.type in _KNOWN_BY_PARTS,
            names_codec=name == self.codec,
            members=members,
        )

    def _whole(self, name: str, spec: Parameter, convert: Convert) -> Convert:
        """What converts all that is sent, where ``convert`` does one value."""
        whole = _each(convert, self.recipients) if spec.many else convert
        return _accepted(name, spec, whole) if spec.refused is not None else whole

    def _converter(self, name: str, spec: Parameter, where: Where, members: Sequence[ParameterCheck]) -> Convert:
        if spec.type in BY_SPEC:
            return BY_SPEC[spec.type](name, spec)
        if spec.type == "object":
            put = when_asked(lambda: reader(members))
            return lambda tree, reading: _object(tree, reading, put)
        if spec.type == "list":
            return _list(spec, members)
        if spec.type in PLAIN:
            return PLAIN[spec.type]
        narrower = [
            (self.compiler.guard(limit.when, (*where, "max_when", i, "when"), self.names), limit.max)
            for i, limit in enumerate(spec.max_when)
        ]
        if spec.parts and self.parts is None:
            self.compiler.complain((*where, "parts"), "the dialect has no table of 'parts'")
        return text_converter(name, spec, narrower, self.parts if spec.parts else None)


def _each(convert: Convert, most: int) -> Convert:
    def convert_each(sent: Sequence[bytes], reading: Reading) -> list[Any]:
        if len(sent) > most:
            raise ValueError
        return [convert(each, reading) for each in sent]

    return convert_each


def _accepted(name: str, spec: Parameter, convert: Convert) -> Convert:
    """Refuses all values but a few."""

    def convert_accepted(sent: Any, reading: Reading) -> Any:
        value = convert(sent, reading)
        if value not in spec.accepted:
            raise Refusal("unsupported", name)
        return value

    return convert_accepted


def _requirement(
    spec: Parameter, compiler: Compiler, where: Where, names: frozenset[str]
) -> Callable[[Scope, Fields], bool]:
    if isinstance(spec.required, bool):
        always = spec.required
        return lambda values, fields: always
    guards = [compiler.guard(guard, (*where, "required", i), names) for i, guard in enumerate(spec.required)]
    return lambda values, fields: any(guard(values, fields) for guard in guards)


def _object(tree: Any, reading: Reading, put: Put) -> Mapping[str, Any]:
    if not isinstance(tree, dict):
        raise ValueError  # noqa: TRY004 the caller's word for a bad value
    inner = reading.within(Fields.of_object(tree))
    put(inner)
    return inner.values


def _list(spec: Parameter, members: Sequence[ParameterCheck]) -> Convert:
    bare = spec.bare.encode() if spec.bare else None
    put = when_asked(lambda: reader(members))

    def convert(tree: Any, reading: Reading) -> list[Any]:
        if not isinstance(tree, list) or (spec.max is not None and len(tree) > spec.max):
            raise ValueError
        return [None if each is None else _entry(each, reading) for each in tree]

    def _entry(tree: Any, reading: Reading) -> Any:
        inner = reading.within(_entry_fields(tree, bare))
        try:
            put(inner)
        except Refusal as refusal:
            if not spec.partial:
                raise ValueError from refusal
            return Faulty(refusal, inner.values)
        return inner.values

    return convert


def _entry_fields(tree: Any, bare: bytes | None) -> Fields:
    """An entry's members; one that is no object is the member ``bare``."""
    if isinstance(tree, dict):
        return Fields.of_object(tree)
    return Fields.of_object({bare: tree}) if bare is not None else Fields({})
