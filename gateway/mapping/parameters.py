"""One documented parameter, compiled into the check that reads it from a request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refusal
from gateway.mapping.schema import Parameter
from gateway.mapping.source import Where
from gateway.mapping.values import Compiler, Holds, Scope
from gateway.wire.forms import Fields
from gateway.wire.text import decode, normalize_newlines

#: Raw bytes, the request's codec and the values checked so far to the value; raises ``ValueError`` for a bad one.
Convert = Callable[[bytes, str, Scope, Fields], Any]

_INTEGER = re.compile(rb"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class ParameterCheck:
    """Reads and checks one parameter. ``spec`` is kept for explanations."""

    name: str
    raw: bytes
    spec: Parameter
    convert: Convert
    applies: Holds
    required: Callable[[Scope, Fields], bool]
    never_required: bool
    recipients: int

    def read(self, codec: str, values: Scope, fields: Fields) -> Any:
        """The parameter's value, or its default. Raises ``Refusal`` with the parameter's name."""
        sent = fields.all(self.raw) if self.spec.many else fields.last(self.raw)
        if sent and not self.applies(values, fields):
            sent = None
        if not sent:
            return self._absent(values, fields)
        value = self._converted(sent, codec, values, fields)
        if self.spec.refused and value not in self.spec.accepted:
            raise Refusal("unsupported", self.name)
        return value

    def _absent(self, values: Scope, fields: Fields) -> Any:
        if self.required(values, fields):
            raise Refusal("parameter", self.name)
        return self.spec.default

    def _converted(self, sent: Any, codec: str, values: Scope, fields: Fields) -> Any:
        try:
            if not self.spec.many:
                return self.convert(sent, codec, values, fields)
            if len(sent) > self.recipients:
                raise ValueError
            return [self.convert(each, codec, values, fields) for each in sent]
        except ValueError as error:
            raise Refusal("parameter", self.name) from error


def compile_parameter(
    name: str, spec: Parameter, compiler: Compiler, where: Where, names: frozenset[str], recipients: int
) -> ParameterCheck:
    """Compile the parameter that stands at ``where``; its guards may speak of ``names``."""
    return ParameterCheck(
        name=name,
        raw=name.encode(),
        spec=spec,
        convert=_converter(spec, compiler, where, names),
        applies=compiler.guard(spec.only, (*where, "only"), names),
        required=_requirement(spec, compiler, where, names),
        never_required=spec.required is False,
        recipients=recipients,
    )


def _requirement(
    spec: Parameter, compiler: Compiler, where: Where, names: frozenset[str]
) -> Callable[[Scope, Fields], bool]:
    if isinstance(spec.required, bool):
        always = spec.required
        return lambda values, fields: always
    guards = [compiler.guard(guard, (*where, "required", i), names) for i, guard in enumerate(spec.required)]
    return lambda values, fields: any(guard(values, fields) for guard in guards)


def _converter(spec: Parameter, compiler: Compiler, where: Where, names: frozenset[str]) -> Convert:
    if spec.type == "choice":
        return _choice(spec)
    if spec.type == "integer":
        return _integer(spec)
    if spec.type == "digits":
        return _digits
    if spec.type == "any":
        return lambda raw, codec, values, fields: raw.decode("utf-8", "replace")
    narrower = [
        (compiler.guard(limit.when, (*where, "max_when", i, "when"), names), limit.max)
        for i, limit in enumerate(spec.max_when)
    ]
    return _text(spec, narrower)


def _choice(spec: Parameter) -> Convert:
    fold = bytes.lower if spec.ignore_case else bytes
    words = spec.values if isinstance(spec.values, dict) else {word: word for word in spec.values or ()}
    table = {fold(word.encode()): value for word, value in words.items()}

    def convert(raw: bytes, codec: str, values: Scope, fields: Fields) -> Any:
        key = fold(raw)
        if key not in table:
            raise ValueError
        return table[key]

    return convert


def _integer(spec: Parameter) -> Convert:
    def convert(raw: bytes, codec: str, values: Scope, fields: Fields) -> int:
        if not _INTEGER.fullmatch(raw):
            raise ValueError
        number = int(raw)
        if (spec.min is not None and number < spec.min) or (spec.max is not None and number > spec.max):
            raise ValueError
        return number - number % spec.floor if spec.floor else number

    return convert


def _digits(raw: bytes, codec: str, values: Scope, fields: Fields) -> str:
    if not raw.isdigit():
        raise ValueError
    return raw.decode("ascii")


def _text(spec: Parameter, narrower: list[tuple[Holds, int]]) -> Convert:
    in_charset = spec.type == "text"

    def convert(raw: bytes, codec: str, values: Scope, fields: Fields) -> str:
        text = decode(raw, codec if in_charset else "utf-8")
        if spec.newlines:
            text = normalize_newlines(text)
        limit = next((limit for holds, limit in narrower if holds(values, fields)), spec.max)
        if limit is not None and len(text) > limit:
            raise ValueError
        return text

    return convert
