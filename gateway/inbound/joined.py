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
            self._loop.call_soon(self.flush)
        self._pieces.append(data)

    def flush(self) -> None:
        """Write what is kept at once: whoever lets the loop close the transport by itself must see to it."""
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            self._transport.write(b"".join(pieces))

    def write_eof(self) -> None:
        """End our side, behind what was written."""
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Close, behind what was written."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._pieces.clear()
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
