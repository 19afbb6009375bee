"""A request and its answer, whose head and body are written as one piece: one system call, one packet."""

from __future__ import annotations

from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle


class Cycle(RequestResponseCycle):
    """uvicorn's, which writes a head as soon as it is told of it, and a body behind that."""

    _head: HTTPResponseStartEvent | None = None

    async def send(self, message: ASGISendEvent) -> None:
        """Take a part of the answer; the head waits for what comes behind it."""
        if message["type"] == "http.response.start" and not self.response_started:
            self._head = message
            return
        head, self._head = self._head, None
        if head is not None:
            if message["type"] == "http.response.body" and not message.get("more_body") and self._may_write:
                self._write_whole(head, message.get("body", b""))
                return
            await super().send(head)
        await super().send(message)

    @property
    def _may_write(self) -> bool:
        """Whether nothing is to be waited for, and the body is to be written at all."""
        return not (self.flow.write_paused or self.disconnected or self.scope["method"] == "HEAD")

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
