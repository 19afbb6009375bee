"""uvicorn servers that run beside each other in one event loop and leave signals to the process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import uvicorn

from gateway.errors import ConfigurationError
from gateway.settings import Address, host_and_port

#: Seconds that requests in flight get to end when the process stops: more than any account may wait.
GRACE = 65


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(address: Address) -> socket.socket:
    """A listening socket. Raises ``ConfigurationError`` when the address can't be had."""
    host, port = host_and_port(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise ConfigurationError(f"can't listen on {address}: {reason}") from error
    # Accepted connections inherit it. Without it what is written in pieces waits for the client to acknowledge the
    # first of them: 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bound.setblocking(False)
    return bound


@contextlib.asynccontextmanager
async def listening(
    app: Any, bound: Sequence[socket.socket], protocol: Any = "httptools", tls: ssl.SSLContext | None = None
) -> AsyncIterator[uvicorn.Server]:
    """Serve an ASGI application on bound sockets until the block ends, then let its requests finish."""
    config = uvicorn.Config(
        app,
        http=protocol,
        interface="asgi3",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        # Nothing here depends on who a proxy says the client is.
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE,
        backlog=2048,
    )
    config.load()
    config.ssl = tls
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[*bound]))
    while not server.started:
        if task.done():
            task.result()
            raise ConfigurationError("the server ended before it began")
        await asyncio.sleep(0.005)
    try:
        yield server
    finally:
        server.should_exit = True
        await task
