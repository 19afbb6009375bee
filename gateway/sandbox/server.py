"""The sandbox as a running server."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator

from gateway.listener import listening
from gateway.sandbox.smsbat import Sandbox


@contextlib.asynccontextmanager
async def serving(sandbox: Sandbox, bound: socket.socket) -> AsyncIterator[None]:
    """Serve a sandbox on a bound socket while the block runs; what it would still have told is forgotten then."""
    async with listening(sandbox.app, [bound]):
        try:
            yield
        finally:
            await sandbox.teller.stop()
