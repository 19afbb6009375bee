"""``multipart/form-data`` bodies, read as they arrive; the vendor's own PHP sample sends messages this way.

Values are held as bytes. Files may be too large for that: they go to a sink, and their md5 and first bytes are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from gateway.wire.images import HEAD

Pairs = list[tuple[bytes, bytes]]

#: Generous: a form's parts have two or three headers, and a file name may be a long local path.
_MAX_HEADERS, _MAX_HEADER_SIZE = 64, 65_536
#: A header with options that is longer, or has more of them, is none that a client wrote.
_LONGEST_HEADER, _MOST_OPTIONS = 8192, 32
#: Bytes that a part counts for besides its own: 20,000 fill two megabytes.
_PART = 100
#: Files in one form, each of which has an open sink until the request ends. Clients send one.
_MOST_FILES = 16


class TooLarge(ValueError):
    """A file, or all values together, are over their limit."""


class Sink(Protocol):
    """Where the bytes of a file go."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""


class Nowhere:
    """A sink for who only wants to know what a file is."""

    def write(self, data: bytes, /) -> None:
        """Forget them."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a form: lower-case hex md5 of its bytes, how many there are, the first of them, and where they are."""

    md5: bytes
    size: int
    head: bytes
    content: Sink


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What may be a file in a form: the part's name to the most bytes it may have, and what opens a sink for it."""

    limits: Mapping[bytes, int]
    open: Callable[[], Sink] = Nowhere


NO_FILES = FilePlan({})


def boundary_of(content_type: bytes) -> bytes | None:
    """The boundary of a multipart content type; ``None`` for any other, and for one without a boundary.

    The examples of RFC 1867, after which the first uploaders were written, have a comma before it.
    """
    if content_type[:10].lower() != b"multipart/":
        return None
    return _option(content_type, b"boundary") or _option(content_type.replace(b",", b";", 1), b"boundary") or None


def _option(header: bytes, name: bytes) -> bytes | None:
    """An option of a header; of one that no client writes, none: reading it would take its time."""
    if len(header) > _LONGEST_HEADER or header.count(b";") > _MOST_OPTIONS:
        return None
    return parse_options_header(header)[1].get(name)


class MultipartReader:
    """Reads one body. ``memory`` is the most bytes that its values may have together.

    What is wrong with a body shows in ``finish``: the rest of a body is read all the same, and not looked at.
    """

    def __init__(self, boundary: bytes, files: FilePlan = NO_FILES, memory: float = float("inf")) -> None:
        self._start = b"--" + boundary
        self._preamble: bytes | None = b""
        self._collector = _Collector(files, memory)
        self._parser = _parser(boundary, self._collector)
        self._too_large = False
        self._broken = self._parser is None

    def feed(self, data: bytes) -> None:
        """The next bytes of the body. Raises ``OSError`` when a sink does."""
        if self._broken or self._too_large:
            return
        if self._preamble is not None:
            data = self._after_preamble(data)
        try:
            if data and self._parser is not None:
                self._parser.write(data)
        except TooLarge:
            self._too_large = True
        except (FormParserError, ValueError):
            self._broken = True

    def finish(self) -> tuple[Pairs, dict[bytes, File]]:
        """Name and value of each part in order, and the files; nothing at all when the body is broken or cut off.

        A file stands among the values too: as its md5, which is what signatures cover. Raises ``TooLarge``.
        """
        if self._too_large:
            raise TooLarge
        if self._broken or self._parser is None or self._parser.state != MultipartState.END:
            return [], {}
        return self._collector.pairs, self._collector.files

    def _after_preamble(self, data: bytes) -> bytes:
        """What stands before the first boundary is for people (RFC 2046)."""
        seen = (self._preamble or b"") + data
        start = seen.find(self._start)
        self._preamble = seen[-len(self._start) :] if start < 0 else None
        return b"" if start < 0 else seen[start:]


def parse_multipart(boundary: bytes, body: bytes, files: FilePlan = NO_FILES) -> tuple[Pairs, dict[bytes, File]]:
    """A whole body at once, of which there is memory enough. Raises ``TooLarge``."""
    reader = MultipartReader(boundary, files, max(4 * len(body), 1 << 21))
    reader.feed(body)
    return reader.finish()


def _parser(boundary: bytes, collector: _Collector) -> MultipartParser | None:
    try:
        return MultipartParser(
            boundary,
            collector.callbacks(),  # type: ignore[arg-type]
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER_SIZE,
        )
    except (FormParserError, ValueError):
        return None


class _Collector:
    """Gathers the parser's events into pairs and files. A part without a name is left out, whatever it holds."""

    def __init__(self, files: FilePlan, memory: float) -> None:
        self.pairs: Pairs = []
        self.files: dict[bytes, File] = {}
        self._plan = files
        self._memory = memory
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._name: bytes | None = None
        self._chunks: list[bytes] = []
        self._file: _Filing | None = None
        self._begun = 0

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self.part_begin,
            "on_header_field": self.header_name,
            "on_header_value": self.header_value,
            "on_header_end": self.header_end,
            "on_headers_finished": self.headers_finished,
            "on_part_data": self.part_data,
            "on_part_end": self.part_end,
        }

    def part_begin(self) -> None:
        # A part without a byte in it is held as well.
        self._hold(_PART)
        self._disposition, self._chunks, self._file = b"", [], None

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._hold(end - start)
        self._header_name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._hold(end - start)
        self._header_value += data[start:end]

    def _hold(self, size: int) -> None:
        """Count what is held in memory, heads of parts included: they cost most of all."""
        self._memory -= size
        if self._memory < 0:
            raise TooLarge

    def header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def headers_finished(self) -> None:
        self._name = _option(self._disposition, b"name")
        limit = self._plan.limits.get(self._name) if self._name else None
        self._file = _Filing(limit, self._plan.open) if limit else None
        self._begun += self._file is not None
        if self._begun > _MOST_FILES:
            raise TooLarge

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file:
            self._file.write(data[start:end])
            return
        self._hold(end - start)
        self._chunks.append(data[start:end])

    def part_end(self) -> None:
        if self._name is None:
            return
        file = self._file.filed() if self._file else None
        if file:
            self.files[self._name] = file
        self.pairs.append((self._name, file.md5 if file else b"".join(self._chunks)))


class _Filing:
    """One file on its way to its sink, which is opened with the first byte."""

    def __init__(self, limit: int, open_sink: Callable[[], Sink]) -> None:
        self._limit = limit
        self._open = open_sink
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._head = b""
        self._sink: Sink | None = None

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge
        if self._sink is None:
            self._sink = self._open()
        self._md5.update(data)
        self._head += data[: max(0, HEAD - len(self._head))]
        self._sink.write(data)

    def filed(self) -> File | None:
        """The file; ``None`` for one without a byte, which counts as not sent."""
        if self._sink is None:
            return None
        return File(self._md5.hexdigest().encode(), self._size, self._head, self._sink)
