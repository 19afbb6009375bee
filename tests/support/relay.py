"""A relay in front of a server, which loses what a network loses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

from sqlalchemy import make_url

from gateway.listener import bind
from tests.support.servers import ANY_PORT, bound_name

#: How a client asks for it, and how PostgreSQL says that it is done.
_COMMIT = b"COMMIT\0"


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """Passes bytes on. ``lose`` is what becomes of PostgreSQL's next commit; its connection breaks with it."""

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self._connect = connect
        self._open: set[asyncio.StreamReader] = set()
        self._silent: set[asyncio.StreamReader] = set()
        self._tasks: list[asyncio.Future[tuple[BaseException | None, BaseException | None]]] = []
        self.lose: Literal["request", "answer"] | None = None

    def silence(self) -> None:
        """The connections there are pass nothing on any more, and nobody is told; new ones do."""
        self._silent |= self._open

    def close(self) -> None:
        """Break what is open."""
        for each in self._tasks:
            each.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        up_reader, up_writer = await self._connect()
        both = (self._pass(reader, up_writer, "request"), self._pass(up_reader, writer, "answer"))
        task = asyncio.gather(*both, return_exceptions=True)
        self._tasks.append(task)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: str) -> None:
        self._open.add(reader)
        try:
            while data := await reader.read(65536):
                if reader in self._silent:
                    continue
                if self.lose == what and _COMMIT in data:
                    self.lose = None
                    return
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def listening_relay(relay: Relay, bound: socket.socket) -> AsyncIterator[None]:
    """Relay what comes to a bound socket while the block runs."""
    server = await asyncio.start_server(relay.serve, sock=bound)
    try:
        yield
    finally:
        server.close()
        relay.close()


@contextlib.asynccontextmanager
async def relayed(database: str) -> AsyncIterator[tuple[Relay, str]]:
    """A relay in front of a database, and the database's URL through it."""
    url = make_url(database)
    file = f"{url.query['host']}/.s.PGSQL.{url.port or 5432}"
    relay, bound = Relay(lambda: asyncio.open_unix_connection(file)), bind(ANY_PORT)
    host, port = bound_name(bound)
    async with listening_relay(relay, bound):
        yield relay, url.set(host=host, port=port, query={}).render_as_string(hide_password=False)
