"""Requests as applications get them; their bodies, read up to a limit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from gateway.errors import Refusal

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Headers = Mapping[bytes, bytes]
#: An ASGI application.
App = Callable[[Any, Receive, Send], Awaitable[None]]

#: Where a request's scope says when its head was whole, by ``time.perf_counter``; the protocol notes it.
HEAD_AT = "gateway.head_at"
#: A body over its limit is still read, and thrown away, up to this many bytes: a client that is cut off while it sends
#: does not read its answer.
DRAINED = 64 * 1024 * 1024


class ClientGone(Exception):
    """The client hung up before its request was whole."""


class Body:
    """The body of one request. ``left_unread``: the client may still send it, so the connection can't be used again."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        self._announced = int(headers.get(b"content-length") or 0)
        self._waits_for_us = b"expect" in headers
        self.content_type = headers.get(b"content-type", b"")
        self.left_unread = self._announced > 0 or b"transfer-encoding" in headers

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises ``ClientGone``, and ``Refusal`` at the end of one over ``limit``."""
        if self._announced > limit and (self._waits_for_us or self._announced > DRAINED):
            raise Refusal("size")
        size = 0
        while self.left_unread and size <= DRAINED:
            chunk = await self._next()
            size += len(chunk)
            if size <= limit:
                yield chunk
        if size > limit:
            raise Refusal("size")

    async def _next(self) -> bytes:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        self.left_unread = event.get("more_body", False)
        chunk: bytes = event.get("body", b"")
        return chunk

    async def read(self, limit: int) -> bytes:
        """All of it. Raises ``Refusal`` for one over ``limit`` and ``ClientGone``."""
        if not 0 < self._announced <= limit:
            return b"".join([chunk async for chunk in self.chunks(limit)])
        # As long as it was announced to be: the parser sees to that.
        pieces = []
        while self.left_unread:
            pieces.append(await self._next())
        return b"".join(pieces)

    async def drain(self) -> None:
        """Let a client that is refused for its request line finish sending, so that it reads why."""
        try:
            await self.read(limit=0)
        except Refusal:
            return
