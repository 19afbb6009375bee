"""A relay in front of PostgreSQL, which loses what a network loses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

from sqlalchemy import make_url

from gateway.listener import bind
from tests.support.servers import ANY_PORT, bound_name

#: How a client asks for it, and how PostgreSQL says that it is done.
_COMMIT = b"COMMIT\0"


class Relay:
    """Passes bytes on. ``lose`` is what becomes of the next commit; its connection breaks with it."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.lose: Literal["request", "answer"] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        up_reader, up_writer = await asyncio.open_unix_connection(self._socket)
        both = (self._pass(reader, up_writer, "request"), self._pass(up_reader, writer, "answer"))
        await asyncio.gather(*both, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: str) -> None:
        try:
            while data := await reader.read(65536):
                if self.lose == what and _COMMIT in data:
                    self.lose = None
                    return
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def relayed(database: str) -> AsyncIterator[tuple[Relay, str]]:
    """A relay in front of a database, and the database's URL through it."""
    url = make_url(database)
    folder = url.query["host"]
    relay = Relay(f"{folder}/.s.PGSQL.{url.port or 5432}")
    bound = bind(ANY_PORT)
    server = await asyncio.start_server(relay.serve, sock=bound)
    host, port = bound_name(bound)
    through = url.set(host=host, port=port, query={})
    try:
        yield relay, through.render_as_string(hide_password=False)
    finally:
        server.close()
