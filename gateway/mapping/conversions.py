"""Raw values of a request to what they mean: one converter for each type of parameter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Any, NamedTuple

from gateway.core.addresses import is_web_address
from gateway.core.messages import phone_digits
from gateway.core.parts import PartsTable
from gateway.errors import Refusal
from gateway.mapping.schema.parameter import Parameter
from gateway.mapping.values import Holds
from gateway.wire.forms import Fields
from gateway.wire.images import image_format
from gateway.wire.multipart import File
from gateway.wire.text import decode, normalize_newlines


@dataclass(frozen=True, slots=True)
class Named:
    """An entry of one of an account's tables of names."""

    id: int
    name: str
    title: str


NameTables = Mapping[str, Mapping[int, Named]]
#: What is kept for the account, by kind and number.
Records = Mapping[tuple[str, int], Mapping[str, Any]]


NO_RECORDS: Records = MappingProxyType({})
NO_NAMES: NameTables = MappingProxyType({})


class Means(NamedTuple):
    """What values are looked up in.

    ``picture`` gives the public address of a picture that the account uploaded, by its id; a blank one when this
    deployment has no public address.
    """

    picture: Callable[[bytes], str | None]
    records: Records = NO_RECORDS
    names: NameTables = NO_NAMES
    zone: tzinfo = UTC


@dataclass(slots=True)
class Reading:
    """One request's parameters while they are read: raw, checked so far, and in the codec that holds from here on."""

    fields: Fields
    codec: str
    means: Means
    values: dict[str, Any]

    def within(self, fields: Fields) -> Reading:
        """The same for an object inside of the request."""
        return Reading(fields, self.codec, self.means, {})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request whose format is among those taken."""

    format: str
    file: File


class TooLong(ValueError):
    """A text that is too long."""


#: What was sent, raw bytes or more of them, to the value; raises ``ValueError`` for bad ones.
Convert = Callable[[Any, Reading], Any]

_INTEGER = re.compile(rb"[0-9]{1,18}")
_EPOCH = re.compile(r"[0-9]{1,10}")
#: What clocks of messages can show.
_YEARS = range(1971, 2200)
_LONGEST_URL = 2048


def _choice(_name: str, spec: Parameter) -> Convert:
    ignore_case = spec.ignore_case
    words = spec.values if isinstance(spec.values, dict) else {word: word for word in spec.values or ()}
    table = {word.encode().lower() if ignore_case else word.encode(): value for word, value in words.items()}

    def convert(raw: bytes, reading: Reading) -> Any:
        key = raw.lower() if ignore_case else raw
        if key not in table:
            raise ValueError
        return table[key]

    return convert


def _integer(_name: str, spec: Parameter) -> Convert:
    def convert(raw: bytes, reading: Reading) -> int:
        if not _INTEGER.fullmatch(raw):
            raise ValueError
        number = int(raw)
        if (spec.min is not None and number < spec.min) or (spec.max is not None and number > spec.max):
            raise ValueError
        return (number - number % spec.floor if spec.floor else number) * spec.times

    return convert


def _digits(_name: str, spec: Parameter) -> Convert:
    most = spec.max

    def convert(raw: bytes, reading: Reading) -> str:
        if not raw.isdigit() or (most is not None and len(raw) > most):
            raise ValueError
        return raw.decode("ascii")

    return convert


def _any(raw: bytes, reading: Reading) -> str:
    return raw.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _string(raw: bytes, reading: Reading) -> str:
    return decode(raw, "utf-8")


def _phone(raw: bytes, reading: Reading) -> str:
    digits = phone_digits(decode(raw, "utf-8"))
    if digits is None:
        raise ValueError
    return digits


def _url(raw: bytes, reading: Reading) -> str:
    url = decode(raw, "utf-8").strip()
    if len(url) > _LONGEST_URL or not is_web_address(url):
        raise ValueError
    return url


PLAIN: dict[str, Convert] = {"any": _any, "phone": _phone, "url": _url}


def _moment(_name: str, spec: Parameter) -> Convert:
    def convert(raw: bytes, reading: Reading) -> int:
        text = decode(raw, "utf-8").strip()
        for form in spec.forms or ():
            if (at := _parsed(text, form, reading.means.zone)) is not None:
                return at
        raise ValueError

    return convert


def _parsed(text: str, form: str, zone: tzinfo) -> int | None:
    """Milliseconds since the epoch; ``None`` for what is not written exactly in this form, and of other centuries."""
    if form == "epoch":
        return int(text) * 1000 if _EPOCH.fullmatch(text) else None
    try:
        moment = datetime.strptime(text, form)
    except (ValueError, OverflowError):
        return None
    if moment.year not in _YEARS or moment.strftime(form) != text:
        return None
    return int(moment.replace(tzinfo=zone).timestamp() * 1000)


def _named(_name: str, spec: Parameter) -> Convert:
    def convert(raw: bytes, reading: Reading) -> Named:
        table = reading.means.names.get(spec.of or "", {})
        text = decode(raw, "utf-8").strip()
        if spec.by == "name":
            # What clients are shown counts; what SMSBAT calls it, they need not know.
            found = next((each for each in table.values() if text in (each.title, each.name)), None)
        else:
            found = table.get(int(text)) if _INTEGER.fullmatch(raw.strip()) else None
        if found is None:
            raise ValueError
        return found

    return convert


def _record(name: str, spec: Parameter) -> Convert:
    def convert(raw: bytes, reading: Reading) -> Mapping[str, Any]:
        if not _INTEGER.fullmatch(raw):
            raise ValueError
        found = reading.means.records.get((spec.of or "", int(raw)))
        if found is None:
            raise Refusal("unknown", name)
        return found

    return convert


def _media(name: str, _spec: Parameter) -> Convert:
    def convert(raw: bytes, reading: Reading) -> str:
        address = reading.means.picture(raw)
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


def text_converter(name: str, spec: Parameter, narrower: list[tuple[Holds, int]], parts: PartsTable | None) -> Convert:
    """Reads texts; ``narrower`` are lengths under guards, ``parts`` counts how many SMS it takes."""
    in_charset, newlines, most, contains = spec.type == "text", spec.newlines, spec.max, spec.contains
    if not (in_charset or newlines or narrower or contains or parts) and most is None:
        return _string
    # Up to this length a text is never too long, whatever the guards say.
    short = min([*(limit for _, limit in narrower), *([] if most is None else [most])], default=None)

    def convert(raw: bytes, reading: Reading) -> str:
        text = decode(raw, reading.codec if in_charset else "utf-8")
        if newlines:
            text = normalize_newlines(text)
        if short is not None and len(text) > short:
            limit = next((limit for holds, limit in narrower if holds(reading.values, reading.fields)), most)
            if limit is not None and len(text) > limit:
                raise TooLong
        if contains and contains not in text:
            raise ValueError
        if parts is not None:
            _count(name, text, parts, reading)
        return text

    return convert


def _count(name: str, text: str, parts: PartsTable, reading: Reading) -> None:
    counted = parts.count(text)
    if counted is None:
        raise TooLong
    reading.values[f"{name}.parts"], reading.values[f"{name}.length"] = counted


BY_SPEC: Mapping[str, Callable[[str, Parameter], Convert]] = {
    "choice": _choice,
    "integer": _integer,
    "digits": _digits,
    "moment": _moment,
    "name": _named,
    "record": _record,
    "media": _media,
    "file": _file,
}
