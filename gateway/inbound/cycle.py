"""A request and its answer, whose head and body are written as one piece: one system call, one packet."""

from __future__ import annotations

from typing import Any

from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.inbound.turns import Together
from gateway.points import Point, reach


class Cycle(RequestResponseCycle):
    """uvicorn's, which writes a head as soon as it is told of it, and a body behind that.

    An answer leaves together with the others of its turn of the event loop. Until then it counts as not given yet: the
    connection's end and the requests behind it wait for it.
    """

    def __init__(self, leaving: Together[Cycle], **options: Any) -> None:
        super().__init__(**options)
        self._leaving = leaving
        self._head: HTTPResponseStartEvent | None = None
        self._body: bytes | None = None
        self._arrived: bytes | None = None

    def arrived(self, body: bytes) -> None:
        """The request's body came with its head."""
        self._arrived, self.more_body = body, False

    async def receive(self) -> ASGIReceiveEvent:
        """The next part of the request; a body that is there already is not waited for."""
        if self._arrived is None or self.disconnected:
            return await super().receive()
        body, self._arrived = self._arrived, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Have a request served. One that an application fails to answer is not left waiting."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:
            self.logger.exception("an application failed")
        if not (self.response_started or self.disconnected):
            await self.send_500_response()
        elif not (self.response_complete or self.disconnected or self._body is not None):
            self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        """Take a part of the answer; the head waits for what comes behind it."""
        if message["type"] == "http.response.start" and not self.response_started:
            self._head = message
            return
        if self._head is not None and not self.response_started:
            if message["type"] == "http.response.body" and not message.get("more_body") and self._may_write:
                self._body, self.response_started = message.get("body", b""), True
                self._leaving.put(self)
                return
            await super().send(self._head)
        await super().send(message)

    @property
    def _may_write(self) -> bool:
        """Whether nothing is to be waited for, and the body is to be written at all."""
        return not (self.flow.write_paused or self.disconnected or self.scope["method"] == "HEAD")

    def leave(self) -> None:
        """Write the answer, unless nobody is there any more."""
        assert self._head is not None
        assert self._body is not None
        if self.disconnected or self.transport.is_closing():
            return
        self._write_whole(self._head, self._body)
        reach(Point.ANSWERED)

    def _write_whole(self, head: HTTPResponseStartEvent, body: bytes) -> None:
        """Applications here announce the length of what they answer, and write names of headers in lower case."""
        headers = (*self.default_headers, *head.get("headers", ()))
        pieces = [STATUS_LINE[head["status"]], *(b"%b: %b\r\n" % header for header in headers)]
        if (b"connection", b"close") in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            pieces.append(b"connection: close\r\n")
        pieces += (b"\r\n", body)
        self.transport.write(b"".join(pieces))
        self._complete()

    def _complete(self) -> None:
        self.response_started = self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
