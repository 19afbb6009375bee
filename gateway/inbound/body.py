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

#: Where a request's scope says when its head was whole, by ``time.perf_counter``; the protocol notes it. Also its
#: headers by their names, and its body, if that came with a head that is known.
HEAD_AT, HEADERS_AT, BODY_AT = "gateway.head_at", "gateway.headers", "gateway.body"
#: A body over its limit is still read, and thrown away, up to this many bytes: a client that is cut off while it sends
#: does not read its answer.
DRAINED = 64 * 1024 * 1024


class ClientGone(Exception):
    """The client hung up before its request was whole."""


class Body:
    """The body of one request, and its headers.

    ``left_unread``: the client may still send it, so the connection can't be used again.
    """

    def __init__(self, scope: Any, receive: Receive) -> None:
        self._receive = receive
        self.headers: Headers = scope.get(HEADERS_AT) or dict(scope["headers"])
        self.content_type = self.headers.get(b"content-type", b"")
        self._whole: bytes | None = scope.get(BODY_AT)
        self.left_unread = bool(self._whole) or self._announced > 0 or b"transfer-encoding" in self.headers

    @property
    def _announced(self) -> int:
        return int(self.headers.get(b"content-length") or 0)

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises ``ClientGone``, and ``Refusal`` at the end of one over ``limit``."""
        if self._announced > limit and (b"expect" in self.headers or self._announced > DRAINED):
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
        if self._whole is not None and len(self._whole) <= limit:
            # As nearly all come, and without being waited for.
            self.left_unread = False
            return self._whole
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
