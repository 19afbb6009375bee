"""Logging: structlog, one line an event, to stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import IO, Any, BinaryIO, TextIO, cast

import orjson
import structlog
from structlog.typing import Processor


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
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = log_format == "json"
    structlog.configure(
        processors=[*shared, *(_json() if as_json else [_console()])],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", _Lossy(sys.stderr.buffer)))
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


def _console() -> structlog.dev.ConsoleRenderer:
    """Its own stack traces would show local variables, and so secrets, phones and texts."""
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)


def _json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_dump)]


def _dump(event: object, **_options: object) -> bytes:
    return orjson.dumps(event, default=str)
