"""Legacy requests as fields of raw bytes (wire: messagio.md, A2).

No ready-made form reader is used: they decode values as text, and the signature is taken over the bytes as sent.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_qp, unhexlify
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from gateway.wire.brackets import as_list, tree_of
from gateway.wire.multipart import NO_FILES, File, FilePlan, Pairs, boundary_of, parse_multipart

#: More fields than 10,000 phones and every parameter there is; a body of nothing but separators stops here.
MAX_FIELDS = 20_000
_MANY = 500
#: Levels of a JSON body that are looked at.
_DEEPEST = 16
#: .NET's text writers put it before everything.
BOM = b"\xef\xbb\xbf"

#: Bytes as numbers: to look for one in bytes takes a sixth of what it takes to look for bytes.
_PERCENT, _EQUALS, _LF, _CR = b"%=\n\r"

Values = dict[bytes, list[bytes]]
#: Of nearly all requests: shared, since to make them takes as long as the rest of a ``Fields``.
_NO_FILES: Mapping[bytes, File] = {}
_NO_TREES: Mapping[bytes, Any] = {}


class TooManyFields(ValueError):
    """A request holds more fields than any real client sends."""


@dataclass(slots=True)
class Fields:
    """The parameters of one request: every value by name, in the order sent. Nobody changes them.

    ``unicode`` is true when the values came as JSON strings, to which a charset parameter does not apply. A file of
    ``files`` stands in ``values`` as its md5. ``nested`` has the arrays and objects of a JSON body.
    """

    values: Values
    unicode: bool = False
    files: Mapping[bytes, File] = field(default_factory=dict)
    nested: Mapping[bytes, Any] = field(default_factory=dict)

    def all(self, name: bytes) -> list[bytes]:
        """The values of a repeated parameter that are not blank: a blank one counts as not sent."""
        return [*filter(None, self.values.get(name, ()))]

    def last(self, name: bytes) -> bytes | None:
        """The value of a single parameter: the last one wins, of those that are not blank."""
        values = self.values.get(name)
        if not values:
            return None
        return values[-1] or next((value for value in reversed(values) if value), None)

    def has_tree(self, name: bytes) -> bool:
        """Whether there is an array or object of this name."""
        opened = name + b"["
        return name in self.nested or any(key.startswith(opened) for key in self.values)

    @property
    def are_many(self) -> bool:
        """Whether it takes a while to look at all of them."""
        return bool(self.nested) or len(self.values) > _MANY

    def tree(self, name: bytes) -> Any:
        """An array or object, from a JSON body or in PHP's bracket names; ``None`` when there is none.

        Its scalars are bytes, and nulls ``None``.
        """
        if name in self.nested:
            return self.nested[name]
        pairs = [(key, each) for key, values in self.values.items() for each in values if key.startswith(name + b"[")]
        return tree_of(name, pairs)

    @classmethod
    def of_object(cls, members: Mapping[bytes, Any]) -> Fields:
        """The members of an object inside of a request."""
        values = {name: [each] for name, each in members.items() if isinstance(each, bytes)}
        return cls(values, nested={name: each for name, each in members.items() if isinstance(each, list | dict)})


NO_FIELDS = Fields({})


def read_fields(
    query: bytes, content_type: bytes, body: bytes, files: FilePlan = NO_FILES, most: int = MAX_FIELDS
) -> Fields:
    """All parameters of a request, the body's before the query's, ``most`` of them.

    A body that can't be parsed counts as having no parameters. Raises ``TooManyFields`` and ``TooLarge``.
    """
    boundary = boundary_of(content_type) if body else None
    if boundary:
        return form_fields(query, *parse_multipart(boundary, body, files), most)
    values = parse_urlencoded(query, most) if query else {}
    if not body:
        return Fields(values)
    posted, nested = _read_body(body.removeprefix(BOM), most)
    return Fields(_merged(posted, values), nested is not None, _NO_FILES, nested or _NO_TREES)


def form_fields(query: bytes, posted: Pairs, files: Mapping[bytes, File], most: int = MAX_FIELDS) -> Fields:
    """All parameters of a request whose multipart body was read already. Raises ``TooManyFields``."""
    return Fields(_merged(_group(posted, most), parse_urlencoded(query, most)), files=files)


def _merged(posted: Values, values: Values) -> Values:
    """A name that the body does not have, or only blank, is taken from the query."""
    return {**values, **{name: each for name, each in posted.items() if any(each)}} if values else posted


def _read_body(body: bytes, most: int) -> tuple[Values, Mapping[bytes, Any] | None]:
    """The parameters of a body, and those with an inner life when it is JSON."""
    if body.lstrip()[:1] == b"{":
        members = _json_object(body)
        return _flat(members or {}, most), None if members is None else _nested(members)
    return parse_urlencoded(body, most), None


def parse_urlencoded(raw: bytes, most: int = MAX_FIELDS) -> Values:
    """``a=1&b=%20`` as bytes: split on ``&`` then the first ``=``, ``+`` is a space, a broken ``%`` stays."""
    if raw.count(b"&") > most:
        raise TooManyFields
    values: Values = {}
    for pair in raw.replace(b"+", b" ").split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            if _PERCENT in pair:
                name, value = _unescape(name) if _PERCENT in name else name, _unescape(value)
            if name in values:
                values[name].append(value)
            else:
                values[name] = [value]
    return values


#: Runs of escapes, converted in one go.
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")


def unescape(raw: bytes) -> bytes:
    """``+`` and ``%XX`` of a form as bytes; a broken ``%`` stays as it is."""
    return _unescape(raw.replace(b"+", b" "))


def _unescape(raw: bytes) -> bytes:
    """Quoted-printable has the same escapes behind ``=``, and a reader in C: a Cyrillic text is little but escapes."""
    if _EQUALS not in raw and _LF not in raw and _CR not in raw:
        read = a2b_qp(raw.replace(b"%", b"="))
        # Every escape makes it shorter by two; a broken one, which has to stay, by less.
        if len(raw) - len(read) == 2 * raw.count(b"%"):
            return read
    return _ESCAPES.sub(_unescape_run, raw)


def _unescape_run(run: re.Match[bytes]) -> bytes:
    return unhexlify(run[0].replace(b"%", b""))


def _group(pairs: Iterable[tuple[bytes, bytes]], most: int) -> Values:
    values: Values = {}
    for count, (name, value) in enumerate(pairs):
        if count > most:
            raise TooManyFields
        values.setdefault(name, []).append(value)
    return values


_JSON = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


def _json_object(body: bytes) -> dict[str, Any] | None:
    """A JSON object, numbers by their digits as written; ``None`` for what is none."""
    try:
        document = _JSON.decode(body.decode().strip())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _flat(document: Mapping[str, Any], most: int) -> Values:
    """Its members, an array as a repeated parameter: a .NET client sends phones so. An object counts as not sent."""
    members = ((name, value if isinstance(value, list) else [value]) for name, value in document.items())
    return _group(((_scalar(name), _scalar(value)) for name, each in members for value in each), most)


def _nested(document: Mapping[str, Any]) -> dict[bytes, Any]:
    return {_scalar(name): _in_bytes(each) for name, each in document.items() if isinstance(each, list | dict)}


def _in_bytes(value: Any, depth: int = 1) -> Any:
    """A tree of JSON as one of a form: its scalars as bytes; deeper than any client goes there is nothing.

    PHP writes a list with a gap, as ``array_unique`` leaves it, as an object.
    """
    if depth > _DEEPEST or value is None:
        return None
    if isinstance(value, dict):
        return as_list({_scalar(name): _in_bytes(each, depth + 1) for name, each in value.items()})
    return [_in_bytes(each, depth + 1) for each in value] if isinstance(value, list) else _scalar(value)


def _scalar(value: object) -> bytes:
    if isinstance(value, bool):
        return b"1" if value else b"0"
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""


def urlencoded(fields: Mapping[str, object]) -> str:
    """Fields as a form body or query, in UTF-8."""
    return urlencode({name: str(value) for name, value in fields.items()})
