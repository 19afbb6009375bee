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
from structlog.typing import EventDict, FilteringBoundLogger, Processor


class LineBuffer:
    """Writes the lines of one turn of the event loop together, and those from outside of a loop at once.

    Each write gives up the interpreter lock, which costs a busy gateway more than the write itself.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lines: deque[bytes] = deque()
        #: The loop that writes at the end of its turn, and its thread: to ask which loop runs takes a system call.
        self._promised: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._writing = threading.Lock()

    def put(self, line: bytes) -> None:
        """Keep a line, and see to it that it is written. Any thread may call it."""
        self._lines.append(line)
        thread = threading.get_ident()
        promised = self._promised
        if promised and promised[0] == thread and promised[1].is_running():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write_out()
            return
        self._promised = (thread, loop)
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
    chosen = _for_machines(number) if log_format == "json" else _for_people(number)
    structlog.configure(**chosen, cache_logger_on_first_use=True)
    # Libraries speak up only when something is wrong.
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    # It has a line for every body that is no form, and anybody can send those.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


def _for_machines(level: int) -> dict[str, Any]:
    lines = LineBuffer(cast("BinaryIO", _Lossy(sys.stderr.buffer)))
    atexit.register(lines.write_out)
    return {"wrapper_class": _json_logger(level), "logger_factory": lambda *_: lines}


def _for_people(level: int) -> dict[str, Any]:
    """The renderer's own stack traces would show local variables, and so secrets, phones and texts."""
    plain = structlog.dev.plain_traceback
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain),
    ]
    return {
        "processors": processors,
        "wrapper_class": structlog.make_filtering_bound_logger(level),
        "logger_factory": structlog.PrintLoggerFactory(cast("TextIO", _Lossy(sys.stderr))),
    }


def _json_logger(level: int) -> type[FilteringBoundLogger]:
    """Makes an event a line in one step, instead of passing it on from one to the next: every request has one.

    Nothing is ever bound to loggers here.
    """
    native = structlog.make_filtering_bound_logger(level)

    class JsonLogger(native):  # type: ignore[misc, valid-type]
        _logger: LineBuffer

        def _proxy_to_logger(self, method_name: str, event: str | None = None, **fields: Any) -> None:
            fields["event"] = event
            self._logger.put(_json_line(method_name, fields))

        if level <= logging.INFO:

            def info(self, event: str, **fields: Any) -> None:
                """What requests are told with; straight to the line."""
                fields["event"] = event
                self._logger.put(_json_line("info", fields))

    return JsonLogger


def _json_line(level: str, event: EventDict) -> bytes:
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(None, level, event)
    event["level"] = level
    event["timestamp"] = datetime.now(UTC)
    return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
