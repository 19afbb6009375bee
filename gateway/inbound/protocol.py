"""uvicorn's HTTP protocol (the httptools one), before which request lines of real clients are repaired.

Only the request line changes, and only by escaping bytes; the parser still judges everything. So messages are cut out
of the stream exactly as it understands them: a head ends at its blank line, a body where the parser's own reading of
Content-Length says. Behind a chunked body in the same piece of data a pipelined request is parsed unrepaired.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.mapping.answers import Answer
from gateway.wire.request_line import repair_head

#: 10,000 phones in an address take about 200 KB.
MAX_HEAD = 512 * 1024
#: Seconds that a refused client may go on sending while it reads its answer, before the connection is cut.
LINGER = 2.0

#: The answer to a request that is no HTTP (``malformed``) or whose head is too large (``size``).
Unreadable = Callable[[str], Answer]


def legacy_protocol(unreadable: Unreadable) -> type[HttpToolsProtocol]:
    """The protocol class for a listener whose refusals look as ``unreadable`` says."""

    class LegacyProtocol(_LegacyProtocol):
        answer_unreadable = staticmethod(unreadable)

    return LegacyProtocol


class _LegacyProtocol(HttpToolsProtocol):
    answer_unreadable: Unreadable

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head = bytearray()
        self._between_messages = True
        self._body_left: int | None = 0
        self._refused = False

    def data_received(self, data: bytes) -> None:
        while data and not self._refused:
            data = self._head_received(data) if self._between_messages else self._body_received(data)

    def _head_received(self, data: bytes) -> bytes:
        searched = max(0, len(self._head) - 3)
        self._head += data if self._head else data.lstrip(b"\r\n")
        end = self._head.find(b"\r\n\r\n", searched) + 4
        if (end if end >= 4 else len(self._head)) > MAX_HEAD:
            self._refuse("size", 200)
        elif end >= 4:
            return self._head_complete(end)
        elif b"\n" in self._head and not self._head.partition(b"\n")[0].endswith(b"\r"):
            self._head_complete(len(self._head))
        return b""

    def _head_complete(self, end: int) -> bytes:
        head, rest = bytes(self._head[:end]), bytes(self._head[end:])
        self._head.clear()
        self._between_messages = False
        super().data_received(repair_head(head))
        if not self._between_messages:
            self._body_left = self._announced_length()
        return rest

    def _announced_length(self) -> int | None:
        """The body's length as the parser accepted it; ``None`` when it comes in chunks."""
        return next((int(value) for name, value in self.headers if name == b"content-length"), None)

    def _body_received(self, data: bytes) -> bytes:
        if self._body_left is None:
            super().data_received(data)
            return b""
        body, rest = data[: self._body_left], data[self._body_left :]
        self._body_left -= len(body)
        super().data_received(body)
        return rest

    def on_message_begin(self) -> None:
        self._between_messages = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The query is cut off here: the address parser behind can't count beyond 64 KB."""
        self.url, _, query = self.url.partition(b"#")[0].partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query

    def on_message_complete(self) -> None:
        self._between_messages = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse("malformed", 400)

    def _refuse(self, kind: str, status: int) -> None:
        """Answer in the dialect's form and read no further. An earlier request's answer is not overtaken."""
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            if not self.cycle.more_body or self.pipeline:
                self.cycle.keep_alive = False
                return
            # The bad request itself: its head was read already, and the application waits for a body that won't come.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        answer = self.answer_unreadable(kind)
        lines = [b"HTTP/1.1 %d %b" % (status, b"OK" if status == 200 else b"Bad Request")]
        lines += [b"%b: %b" % header for header in answer.headers]
        lines += [b"connection: close", b"", answer.body]
        self.transport.write(b"\r\n".join(lines))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)
