"""uvicorn's HTTP protocol (the httptools one), before which heads of real clients are repaired.

Only what ``repair_head`` names changes; the parser still judges every head that is new. So messages are cut out of the
stream exactly as it understands them: a head ends at its blank line, a body where the parser's own reading of
Content-Length says. One that came before, byte for byte, means what it meant then, whatever its connection. Behind a
chunked body in the same piece of data a pipelined request is parsed unrepaired.

Scope, cycle and timers are made here instead of by uvicorn, in fewer steps: every request has them.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

import structlog
from httptools import HttpParserError, HttpParserUpgrade
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.inbound.body import BODY_AT, HEAD_AT
from gateway.inbound.cycle import Cycle, spelt
from gateway.inbound.heads import KnownHead, KnownHeads
from gateway.inbound.turns import Together, Turns
from gateway.mapping.answers import Answer
from gateway.wire.request_line import is_plain, method_of, place_of, repair_head

log = structlog.get_logger("gateway.inbound")

#: 10,000 phones in an address take about 200 KB.
MAX_HEAD = 512 * 1024
#: Requests that begin in one turn of the event loop: a few milliseconds' work.
_AT_ONCE = 64
#: Bytes of an unusable address that tell which dialect it was meant for.
_TOLD_APART = 100
#: Seconds without a byte in the middle of a request, after which it is refused.
STALLED = 30.0
#: Seconds in which a client that is sent more than buffers hold reads nothing, after which it is cut off.
UNREAD = 60.0
#: Seconds that a refused client may go on sending while it reads its answer, before the connection is cut.
LINGER = 2.0

_BLANK_LINE = re.compile(rb"\n\r?\n")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]")
#: What the parser reads and the application refuses or serves. Others, CONNECT too, are refused before the parser.
_METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"})

#: The answer to a request that does not get as far as the application: an error kind, and the host and path that it
#: was sent to as far as they can be read, to the dialect's answer.
Unreadable = Callable[[str, str, str], Answer]


def legacy_protocol(unreadable: Unreadable) -> type[HttpToolsProtocol]:
    """The protocol class for a listener whose refusals look as ``unreadable`` says."""

    class LegacyProtocol(_LegacyProtocol):
        answer_unreadable = staticmethod(unreadable)
        turns = Turns(_AT_ONCE)
        leaving = Together(Cycle.leave)
        heads = KnownHeads()

    return LegacyProtocol


class _LegacyProtocol(HttpToolsProtocol):
    answer_unreadable: Unreadable
    turns: Turns
    leaving: Together[Cycle]
    heads: KnownHeads

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head = bytearray()
        self._between_messages = True
        self._request_head = b""
        self._head_understood = False
        self._body_left: int | None = 0
        self._refused = False
        self._patience: asyncio.TimerHandle | None = None
        self._head_watched = False
        self._unread: asyncio.TimerHandle | None = None

    # Cutting the stream into messages

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._silent_until = self.loop.time() + STALLED
        self._silence = self.loop.call_later(STALLED, self._end_silence)

    def data_received(self, data: bytes) -> None:
        while data and not self._refused:
            data = self._head_received(data) if self._between_messages else self._body_received(data)
        if self._patience is not None or self._head or not self._between_messages:
            self._watch()

    def _head_received(self, data: bytes) -> bytes:
        if self._head:
            return self._head_gathered(data)
        # As nearly all come: in one piece, and not for the first time.
        head = data[: data.find(b"\r\n\r\n") + 4]
        known = self.heads.find(head)
        if known is None or len(data) - len(head) < known.length or not self._is_free:
            return self._head_begun(data.lstrip(b"\r\n"))
        end = len(head) + known.length
        self._begin_known(head, known, data[len(head) : end])
        return data[end:]

    def _head_begun(self, data: bytes) -> bytes:
        if data:
            self._silent_until = math.inf
        blank = _BLANK_LINE.search(data, 0, MAX_HEAD)
        if blank and _TOKEN.match(data):
            return self._head_complete(data[: blank.end()], data[blank.end() :])
        return self._head_gathered(data)

    def _begin_known(self, head: bytes, known: KnownHead, body: bytes) -> None:
        """A request that came in one piece, with a head that needs no parsing."""
        self._silent_until = math.inf
        self._request_head = head
        self.expect_100_continue = False
        scope: Any = dict(known.scope)
        scope["client"], scope["server"], scope["scheme"] = self.client, self.server, self.scheme
        scope["state"], scope[HEAD_AT], scope[BODY_AT] = self.app_state.copy(), time.perf_counter(), body
        self.scope = scope
        self.cycle = Cycle(self, self.leaving, known.keep_alive)
        self.cycle.arrived(body)
        self._start_asgi_task(self.cycle, self.app)

    @property
    def _is_free(self) -> bool:
        """Whether no earlier request of the connection waits for its answer."""
        return self.cycle is None or self.cycle.response_complete

    def _head_gathered(self, data: bytes) -> bytes:
        searched = max(0, len(self._head) - 3)
        self._head += data
        blank = _BLANK_LINE.search(self._head, searched)
        if (blank.end() if blank else len(self._head)) > MAX_HEAD:
            self._refuse("size")
        elif self._head and not _TOKEN.match(self._head):
            self._refuse("malformed")
        elif blank:
            head, rest = bytes(self._head[: blank.end()]), bytes(self._head[blank.end() :])
            self._head.clear()
            return self._head_complete(head, rest)
        return b""

    def _head_complete(self, head: bytes, rest: bytes) -> bytes:
        self._request_head, self._head_understood = head, False
        plain = is_plain(head)
        if not plain:
            method = method_of(head)
            if method is not None and method not in _METHODS:
                self._refuse("method")
                return b""
            head = repair_head(head)
        self._between_messages = False
        self._parse(head)
        self._body_left = 0 if self._between_messages else self._announced_length()
        if plain and self._head_understood and self._body_left is not None and not self.expect_100_continue:
            self.heads.learn(head, self.scope, self._body_left, self.cycle.keep_alive)
        return rest

    def _announced_length(self) -> int | None:
        """The body's length as the parser accepted it; ``None`` when it comes in chunks."""
        for name, value in self.headers:
            if name == b"content-length":
                return int(value)
        return None

    def _body_received(self, data: bytes) -> bytes:
        if self._body_left is None:
            self._parse(data)
            return b""
        body, rest = data[: self._body_left], data[self._body_left :]
        self._body_left -= len(body)
        self._parse(body)
        return rest

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade:
            pass  # an offer that may be left alone
        except HttpParserError:
            self._refuse("malformed")

    # What the parser tells

    def on_message_begin(self) -> None:
        self._between_messages = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._complete_scope()
        self._head_understood = True
        if self.scope["http_version"] == "1.0":
            # It knows no interim answers, and would take one for the answer (RFC 9110, 10.1.1).
            self.expect_100_continue = False
        is_free, kept = self._is_free, self.scope["http_version"] != "1.0" and self.parser.should_keep_alive()
        self.cycle = Cycle(self, self.leaving, kept)
        if is_free:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _complete_scope(self) -> None:
        """The address is parted here: uvicorn's address parser can't count as far as some queries are long."""
        path, _, query = self.url.partition(b"#")[0].partition(b"?")
        if not path.startswith((b"/", b"*")):
            # Its beginning still tells whose it is.
            path = b"/" + path[1:_TOLD_APART].rpartition(b"/")[0].lstrip(b"/") + b"/unusable-address"
        text, scope = path.decode("latin-1"), cast("dict[str, Any]", self.scope)
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = self.parser.get_http_version()
        scope["path"] = unquote(text) if "%" in text else text
        scope["raw_path"], scope["query_string"] = path, query
        scope[HEAD_AT] = time.perf_counter()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cast("Cycle", cycle).begin(app, self.turns)

    def on_message_complete(self) -> None:
        self._between_messages = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._silent_until = self.loop.time() + self.timeout_keep_alive

    # Clients that are silent between requests

    def _end_silence(self) -> None:
        """One timer for all the silences of a connection: each request would set one in vain."""
        left = STALLED if self._incomplete else self._silent_until - self.loop.time()
        if left > 0:
            self._silence = self.loop.call_later(min(left, STALLED, self.timeout_keep_alive), self._end_silence)
        else:
            self.transport.close()

    # Clients that stop sending

    def _watch(self) -> None:
        """While a request is incomplete, a client must go on sending; a head must be whole in that time."""
        if self._patience is not None and self._head and self._head_watched:
            return
        self._head_watched = bool(self._head)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._incomplete and not self._refused:
            self._patience = self.loop.call_later(STALLED, self._out_of_patience)

    def _out_of_patience(self) -> None:
        """Nothing came; unless it is the application that does not read, the client stopped sending."""
        self._patience = None
        if self.flow.read_paused:
            self._watch()
        else:
            self._refuse_cut_off()

    @property
    def _incomplete(self) -> bool:
        return bool(self._head) or not self._between_messages

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client may end its side once it has sent its request, and still waits for the answer."""
        if self.transport.get_extra_info("sslcontext") is not None:
            return False  # under TLS there is no ending of one side alone
        answer_due = self.cycle is not None and not self.cycle.response_complete
        if self._incomplete:
            self._refuse_cut_off()
        elif answer_due:
            self.cycle.keep_alive = False
        return self._incomplete or answer_due

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._silence, self._patience, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    # Clients that stop reading

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    # Refusing before the application

    def _refuse(self, kind: str, problem: str = "") -> None:
        """Answer in the dialect's form and read no further. An earlier request's answer is not overtaken."""
        if self._refused:
            return
        self._refused = True
        log.info("a request can't be read", problem=problem or kind, client=self.client[0] if self.client else None)
        if self.cycle is not None and not self.cycle.response_complete and self._refuse_in_turn(kind):
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self._write_refusal(kind)
        self.loop.call_later(LINGER, self.transport.abort)

    def _refuse_in_turn(self, kind: str) -> bool:
        """Whether an answer is due before; then the connection ends behind it, or behind the refusal in its turn."""
        cycle = cast("Cycle", self.cycle)
        if not cycle.more_body or cycle.is_leaving:
            cycle.keep_alive = False
            return True
        # The bad request is the newest one: its head was read, and the application waits for a body that won't come.
        cycle.more_body, cycle.disconnected = False, not self.pipeline
        cycle.message_event.set()
        if self.pipeline:
            cycle.keep_alive = False
            self.pipeline[0] = (cycle, _answering(self._refusal(kind)))
        return bool(self.pipeline)

    def _refuse_cut_off(self) -> None:
        """The client stopped in the middle."""
        self._refuse("malformed", "cut off")

    def _refusal(self, kind: str) -> Answer:
        return self.answer_unreadable(kind, *place_of(self._request_head or bytes(self._head)))

    def _write_refusal(self, kind: str) -> None:
        answer = self._refusal(kind)
        lines = [b"HTTP/1.1 %d %b" % (answer.status, HTTPStatus(answer.status).phrase.encode())]
        lines += [b"%b: %b" % (spelt(name), value) for name, value in answer.headers]
        lines += [b"Connection: close", b"", answer.body]
        self.transport.write(b"\r\n".join(lines))
        if self.transport.can_write_eof():
            self.transport.write_eof()


def _answering(answer: Answer) -> Any:
    """An application that gives one answer to everything."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    return app
