"""Logging: structlog, one line an event, to stderr."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import sys
import threading
from collections import deque
from datetime import UTC, datetime
from typing import IO, Any, BinaryIO, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


class LineBuffer:
    """Writes the lines of one turn of the event loop together, and those from outside of a loop at once.

    Each write gives up the interpreter lock, which costs a busy gateway more than the write itself.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lines: deque[bytes] = deque()
        self._promised: asyncio.AbstractEventLoop | None = None
        self._writing = threading.Lock()

    def write(self, line: bytes) -> None:
        """Keep a line until ``flush``. Any thread may call it."""
        self._lines.append(line)

    def flush(self) -> None:
        """See to it that what is kept is written."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write_out()
            return
        if self._promised is not loop:
            self._promised = loop
            loop.call_soon(self.write_out)

    def write_out(self) -> None:
        """Write what is kept."""
        self._promised = None
        with self._writing:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if lines:
                self._file.write(b"".join(lines))
                self._file.flush()


#: Most ids of messages in one line.
IDS_TOLD = 1000


class _Lossy:
    """A stream that loses what can't be written: a full disk under the log must not end what is being told of."""

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream

    def write(self, line: Any) -> int:
        """Write a line, or lose it."""
        with contextlib.suppress(OSError):
            return self._stream.write(line)
        return 0

    def flush(self) -> None:
        """Let go of what is buffered, or keep it until there is room."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def configure_logging(log_format: str, level: str) -> None:
    """Set up for the whole process; ``console`` is for people, ``json`` for machines."""
    number = logging.getLevelNamesMapping()[level.upper()]
    as_json = log_format == "json"
    structlog.configure(
        processors=[_json_line] if as_json else _console(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(_buffered())
        if as_json
        else structlog.PrintLoggerFactory(cast("TextIO", _Lossy(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    # Libraries speak up only when something is wrong.
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    # It has a line for every body that is no form, and anybody can send those.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


def _buffered() -> BinaryIO:
    buffer = LineBuffer(cast("BinaryIO", _Lossy(sys.stderr.buffer)))
    atexit.register(buffer.write_out)
    return cast("BinaryIO", buffer)


def _console() -> list[Processor]:
    """The renderer's own stack traces would show local variables, and so secrets, phones and texts."""
    plain = structlog.dev.plain_traceback
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain),
    ]


def _json_line(logger: WrappedLogger, name: str, event: EventDict) -> bytes:
    """Everything in one step: there is a line for every request."""
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, name, event)
    event["level"] = name
    event["timestamp"] = datetime.now(UTC)
    return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z)
