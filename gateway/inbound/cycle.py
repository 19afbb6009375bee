"""A request and its answer, whose head and body are written as one piece: one system call, one packet."""

from __future__ import annotations

import asyncio
import logging
from functools import cache, lru_cache
from typing import Any

from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.inbound.turns import Served, Together, Turns
from gateway.points import ANSWERED, reach

_CLOSE = (b"connection", b"close")


@cache
def spelt(name: bytes) -> bytes:
    """A header's name as the servers wrote it that were there before: a client may look for ``Content-Length:``."""
    return name.title()


@lru_cache(1000)
def _written(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Lines of a head. Answers that say the same are as long, so that the same come again and again."""
    return b"".join([b"%b: %b\r\n" % (spelt(name), value) for name, value in headers])


class Cycle(RequestResponseCycle):
    """uvicorn's, which writes a head as soon as it is told of it, and a body behind that.

    An answer leaves together with the others of its turn of the event loop. Until then it counts as not given yet: the
    connection's end and the requests behind it wait for it. Nothing of an application is waited for behind that.
    """

    # Of nearly all requests, and written down for those alone in which it is otherwise.
    logger, access_logger, access_log = logging.getLogger("uvicorn.error"), logging.getLogger("uvicorn.access"), False
    disconnected = response_started = response_complete = False
    more_body = True
    chunked_encoding: bool | None = None
    expected_content_length = 0
    _event: asyncio.Event | None = None
    _head: HTTPResponseStartEvent | None = None
    #: Head, but for its end, and body of an answer that is about to leave.
    _answer: tuple[bytes, bytes] | None = None
    _arrived: bytes | None = None
    _served: Served

    def __init__(self, protocol: HttpToolsProtocol, leaving: Together[Cycle], keep_alive: bool) -> None:
        # As uvicorn's, which is given a dozen things by their names: every request has one.
        self.scope, self.transport, self.flow = protocol.scope, protocol.transport, protocol.flow
        self.default_headers, self.on_response = protocol.server_state.default_headers, protocol.on_response_complete
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.body = bytearray()
        self._leaving = leaving
        begun: Any = protocol.tasks
        self._begun: set[Cycle] = begun

    @property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]
        """What who waits for the body is woken by; most bodies come with their heads, and nobody waits."""
        if self._event is None:
            self._event = asyncio.Event()
        return self._event

    @property
    def is_leaving(self) -> bool:
        """Whether the answer is known and about to be written."""
        return self._answer is not None

    def arrived(self, body: bytes) -> None:
        """The request's body came with its head."""
        self._arrived, self.more_body = body, False

    async def receive(self) -> ASGIReceiveEvent:
        """The next part of the request; a body that is there already is not waited for."""
        if self._arrived is None or self.disconnected:
            return await super().receive()
        body, self._arrived = self._arrived, None
        return {"type": "http.request", "body": body, "more_body": False}

    def begin(self, app: ASGI3Application, turns: Turns) -> None:
        """Have it served. The server waits for it from now on when it stops, until its answer has left."""
        self._begun.add(self)
        self._served = turns.begin(self.run_asgi(app))

    def cancel(self, msg: str) -> None:
        """The server waits no longer for it, and who serves it is told so."""
        self._served.cancel(msg)

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Have a request served. One that an application fails to answer, or may not any more, is not left waiting."""
        try:
            try:
                # Whoever is gone by now may ask again.
                if not self.disconnected:
                    await app(self.scope, self.receive, self.send)
            except BaseException:
                self.logger.exception("an application failed")
            if not (self.response_started or self.disconnected):
                self.logger.error("an application gave no answer")
                await self.send_500_response()
        finally:
            if self._answer is None:
                self._end()

    async def send(self, message: ASGISendEvent) -> None:
        """Take a part of the answer; the head waits for what comes behind it."""
        if self._answer is not None:
            raise RuntimeError("the answer is whole already")
        if message["type"] == "http.response.start" and not self.response_started:
            self._head = message
            return
        if self._head is not None and not self.response_started:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                if self.flow.write_paused and not self.disconnected:
                    await self.flow.drain()
                self._take(self._head, b"" if self.scope["method"] == "HEAD" else message.get("body", b""))
                return
            await super().send(self._head)
        await super().send(message)

    def _take(self, head: HTTPResponseStartEvent, body: bytes) -> None:
        """Applications here announce the length of what they answer, and write names of headers in lower case."""
        headers = tuple(head.get("headers", ()))
        if _CLOSE in headers:
            headers = tuple(each for each in headers if each != _CLOSE)
            self.keep_alive = False
        lines = STATUS_LINE[head["status"]] + _written(tuple(self.default_headers)) + _written(headers)
        self._answer, self.response_started = (lines, body), True
        self._leaving.put(self)

    def leave(self) -> None:
        """Write the answer, unless nobody is there any more."""
        try:
            if self._answer is not None and not (self.disconnected or self.transport.is_closing()):
                self._write(*self._answer)
        finally:
            self._answer = None
            self._end()

    def _write(self, head: bytes, body: bytes) -> None:
        self.transport.write(head + (b"\r\n" if self.keep_alive else b"Connection: close\r\n\r\n") + body)
        reach(ANSWERED)
        self.response_complete = True
        if self._event is not None:
            self._event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _end(self) -> None:
        """Let go of the answer and of the connection, which holds on to its last request."""
        if not (self.response_complete or self.disconnected):
            self.transport.close()
        self._head, self.on_response = None, _nothing
        self._begun.discard(self)


def _nothing() -> None:
    """What follows when nothing is to follow."""
