"""One documented parameter, compiled into the check that reads it from a request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refusal
from gateway.mapping.schema.dialect import Parameter
from gateway.mapping.source import Where
from gateway.mapping.values import Compiler, Holds, Scope
from gateway.wire.forms import Fields
from gateway.wire.images import image_format
from gateway.wire.multipart import File
from gateway.wire.text import decode, normalize_newlines


@dataclass(slots=True)
class Reading:
    """One request's parameters while they are read: raw, checked so far, and in the codec that holds from here on.

    ``picture`` gives the public address of a picture that the account uploaded, by its id; a blank one when this
    deployment has no public address.
    """

    fields: Fields
    codec: str
    picture: Callable[[bytes], str | None]
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request whose format is among those taken."""

    format: str
    file: File


#: Raw bytes to the value; raises ``ValueError`` for bad ones.
Convert = Callable[[bytes, Reading], Any]

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

    def read(self, reading: Reading) -> Any:
        """The parameter's value, or its default. Raises ``Refusal`` with the parameter's name."""
        fields = reading.fields
        sent = fields.all(self.raw) if self.spec.many else fields.last(self.raw)
        if sent and not self.applies(reading.values, fields):
            sent = None
        if not sent:
            return self._absent(reading)
        value = self._converted(sent, reading)
        if self.spec.refused and value not in self.spec.accepted:
            raise Refusal("unsupported", self.name)
        return value

    def _absent(self, reading: Reading) -> Any:
        if self.required(reading.values, reading.fields):
            raise Refusal("parameter", self.name)
        return self.spec.default

    def _converted(self, sent: Any, reading: Reading) -> Any:
        try:
            if not self.spec.many:
                return self.convert(sent, reading)
            if len(sent) > self.recipients:
                raise ValueError
            return [self.convert(each, reading) for each in sent]
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
        convert=_converter(name, spec, compiler, where, names),
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


def _converter(name: str, spec: Parameter, compiler: Compiler, where: Where, names: frozenset[str]) -> Convert:
    if spec.type == "choice":
        return _choice(spec)
    if spec.type == "integer":
        return _integer(spec)
    if spec.type == "file":
        return _file(name, spec)
    if spec.type == "media":
        return _media(name)
    if spec.type in _PLAIN:
        return _PLAIN[spec.type]
    narrower = [
        (compiler.guard(limit.when, (*where, "max_when", i, "when"), names), limit.max)
        for i, limit in enumerate(spec.max_when)
    ]
    return _text(spec, narrower)


def _choice(spec: Parameter) -> Convert:
    fold = bytes.lower if spec.ignore_case else bytes
    words = spec.values if isinstance(spec.values, dict) else {word: word for word in spec.values or ()}
    table = {fold(word.encode()): value for word, value in words.items()}

    def convert(raw: bytes, reading: Reading) -> Any:
        key = fold(raw)
        if key not in table:
            raise ValueError
        return table[key]

    return convert


def _integer(spec: Parameter) -> Convert:
    def convert(raw: bytes, reading: Reading) -> int:
        if not _INTEGER.fullmatch(raw):
            raise ValueError
        number = int(raw)
        if (spec.min is not None and number < spec.min) or (spec.max is not None and number > spec.max):
            raise ValueError
        return number - number % spec.floor if spec.floor else number

    return convert


def _digits(raw: bytes, reading: Reading) -> str:
    if not raw.isdigit():
        raise ValueError
    return raw.decode("ascii")


def _any(raw: bytes, reading: Reading) -> str:
    return raw.decode("utf-8", "replace")


_PLAIN: dict[str, Convert] = {"digits": _digits, "any": _any}


def _media(name: str) -> Convert:
    def convert(raw: bytes, reading: Reading) -> str:
        address = reading.picture(raw)
        if address is None:
            raise ValueError
        if not address:
            raise Refusal("unsupported", name)
        return address

    return convert


def _file(name: str, spec: Parameter) -> Convert:
    key, formats = name.encode(), frozenset(spec.formats or ())

    def convert(raw: bytes, reading: Reading) -> Upload:
        file = reading.fields.files.get(key)
        if file is None:
            raise ValueError
        kind = image_format(file.head)
        if kind not in formats:
            raise Refusal("unsupported", name)
        return Upload(str(kind), file)

    return convert


def _text(spec: Parameter, narrower: list[tuple[Holds, int]]) -> Convert:
    in_charset = spec.type == "text"

    def convert(raw: bytes, reading: Reading) -> str:
        text = decode(raw, reading.codec if in_charset else "utf-8")
        if spec.newlines:
            text = normalize_newlines(text)
        limit = next((limit for holds, limit in narrower if holds(reading.values, reading.fields)), spec.max)
        if limit is not None and len(text) > limit:
            raise ValueError
        return text

    return convert
