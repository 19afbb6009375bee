"""A transport that joins writes: an answer's head and body leave as one piece, and cost one system call."""

from __future__ import annotations

import asyncio
from typing import Any


class JoinedWrites:
    """Everything that is written in one turn of the event loop is written to ``transport`` in one go."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Write at the end of this turn."""
        if not self._pieces:
            self._loop.call_soon(self._write_out)
        self._pieces.append(data)

    def _write_out(self) -> None:
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            self._transport.write(b"".join(pieces))

    def write_eof(self) -> None:
        """End our side, behind what was written."""
        self._write_out()
        self._transport.write_eof()

    def close(self) -> None:
        """Close, behind what was written."""
        self._write_out()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._pieces.clear()
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
