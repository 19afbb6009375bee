"""Legacy requests as fields of raw bytes (wire: messagio.md, A2).

No ready-made form reader is used: they decode values as text, and the signature is taken over the bytes as sent.
"""

from __future__ import annotations

import json
import re
from binascii import unhexlify
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from gateway.wire.multipart import NO_FILES, File, FilePlan, Pairs, boundary_of, parse_multipart

#: More fields than 10,000 phones and every parameter there is; a body of nothing but separators stops here.
MAX_FIELDS = 20_000
#: .NET's text writers put it before everything.
BOM = b"\xef\xbb\xbf"

Values = dict[bytes, list[bytes]]


class TooManyFields(ValueError):
    """A request holds more fields than any real client sends."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The parameters of one request: every value by name, in the order sent.

    ``unicode`` is true when the values came as JSON strings, to which a charset parameter does not apply. A file of
    ``files`` stands in ``values`` as its md5.
    """

    values: Values
    unicode: bool = False
    files: Mapping[bytes, File] = field(default_factory=dict)

    def all(self, name: bytes) -> list[bytes]:
        """The values of a repeated parameter that are not blank: a blank one counts as not sent."""
        return [value for value in self.values.get(name, ()) if value]

    def last(self, name: bytes) -> bytes | None:
        """The value of a single parameter: the last one wins, of those that are not blank."""
        return next((value for value in reversed(self.values.get(name, ())) if value), None)


def read_fields(query: bytes, content_type: bytes, body: bytes, files: FilePlan = NO_FILES) -> Fields:
    """All parameters of a request, the body's before the query's.

    A body that can't be parsed counts as having no parameters. Raises ``TooManyFields`` and ``TooLarge``.
    """
    boundary = boundary_of(content_type) if body else None
    if boundary:
        return form_fields(query, *parse_multipart(boundary, body, files))
    values = parse_urlencoded(query) if query else {}
    if not body:
        return Fields(values)
    posted, is_json = _read_body(body.removeprefix(BOM))
    return Fields(_merged(posted, values), is_json)


def form_fields(query: bytes, posted: Pairs, files: Mapping[bytes, File]) -> Fields:
    """All parameters of a request whose multipart body was read already. Raises ``TooManyFields``."""
    return Fields(_merged(_group(posted), parse_urlencoded(query)), files=files)


def _merged(posted: Values, values: Values) -> Values:
    """A name that the body does not have, or only blank, is taken from the query."""
    return {**values, **{name: each for name, each in posted.items() if any(each)}} if values else posted


def _read_body(body: bytes) -> tuple[Values, bool]:
    """The parameters of a body, and whether they came as JSON."""
    if body.lstrip()[:1] == b"{":
        values = parse_json(body)
        return values or {}, values is not None
    return parse_urlencoded(body), False


def parse_urlencoded(raw: bytes) -> Values:
    """``a=1&b=%20`` as bytes: split on ``&`` then the first ``=``, ``+`` is a space, a broken ``%`` stays."""
    if raw.count(b"&") > MAX_FIELDS:
        raise TooManyFields
    values: Values = {}
    for pair in raw.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            values.setdefault(unescape(name), []).append(unescape(value))
    return values


#: Runs of escapes, converted in one go: an escaped Cyrillic text is little else.
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")


def unescape(raw: bytes) -> bytes:
    """``+`` and ``%XX`` of a form as bytes; a broken ``%`` stays as it is."""
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    return _ESCAPES.sub(_unescape_run, raw) if b"%" in raw else raw


def _unescape_run(run: re.Match[bytes]) -> bytes:
    return unhexlify(run[0].replace(b"%", b""))


def _group(pairs: Iterable[tuple[bytes, bytes]]) -> Values:
    values: Values = {}
    for count, (name, value) in enumerate(pairs):
        if count > MAX_FIELDS:
            raise TooManyFields
        values.setdefault(name, []).append(value)
    return values


_JSON = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


def parse_json(body: bytes) -> Values | None:
    """A JSON object's members; numbers by their digits as written, an array as a repeated parameter.

    A .NET client sends such bodies, with the phone as a number. Nested objects and nulls count as not sent. ``None``
    for what is no JSON object.
    """
    try:
        document = _JSON.decode(body.decode().strip())
    except (ValueError, RecursionError):
        return None
    members = ((name, value if isinstance(value, list) else [value]) for name, value in document.items())
    return _group((_scalar(name), _scalar(value)) for name, each in members for value in each)


def _scalar(value: object) -> bytes:
    if isinstance(value, bool):
        return b"1" if value else b"0"
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""


def urlencoded(fields: Mapping[str, object]) -> str:
    """Fields as a form body or query, in UTF-8."""
    return urlencode({name: str(value) for name, value in fields.items()})
