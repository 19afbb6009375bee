"""``multipart/form-data`` bodies as pairs of bytes; the vendor's own PHP sample sends messages this way."""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

Pairs = list[tuple[bytes, bytes]]

#: Generous: a form's parts have two or three headers, and a file name may be a long local path.
_MAX_HEADERS, _MAX_HEADER_SIZE = 64, 65_536


def boundary_of(content_type: bytes) -> bytes | None:
    """The boundary of a multipart content type; ``None`` for any other, and for one without a boundary."""
    if content_type[:10].lower() != b"multipart/":
        return None
    return parse_options_header(content_type)[1].get(b"boundary") or None


def parse_multipart(boundary: bytes, body: bytes) -> Pairs:
    """Name and value of each part in order; nothing at all when the body is broken or cut off."""
    collector = _Collector()
    # What stands before the first boundary is for people (RFC 2046).
    start = body.find(b"--" + boundary)
    try:
        parser = MultipartParser(
            boundary,
            collector.callbacks(),  # type: ignore[arg-type]
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER_SIZE,
        )
        parser.write(body[max(0, start) :])
    except (FormParserError, ValueError):
        return []
    return collector.pairs if parser.state == MultipartState.END else []


class _Collector:
    """Gathers the parser's events into pairs. A part without a name is left out, whatever it holds."""

    def __init__(self) -> None:
        self.pairs: Pairs = []
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._chunks: list[bytes] = []

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self.part_begin,
            "on_header_field": self.header_name,
            "on_header_value": self.header_value,
            "on_header_end": self.header_end,
            "on_part_data": self.part_data,
            "on_part_end": self.part_end,
        }

    def part_begin(self) -> None:
        self._disposition, self._chunks = b"", []

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def part_data(self, data: bytes, start: int, end: int) -> None:
        self._chunks.append(data[start:end])

    def part_end(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"name")
        if name is not None:
            self.pairs.append((name, b"".join(self._chunks)))
