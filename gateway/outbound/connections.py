"""HTTP/1.1 to one SMSBAT over kept-alive connections, in as few steps as the protocol has.

What a call costs by itself, all messages in it pay for: with a client for the whole web it was several times as much
(docs/performance.md). Proxies, redirects, cookies and many hosts have no place here. Answers are read by the parser
that reads requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from typing import Any

import aiohappyeyeballs
import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

#: Seconds to get a connection; SMSBAT answers from nearby or not at all.
CONNECT_TIMEOUT = 5.0
#: Seconds that an idle connection is kept. Many servers keep theirs for longer.
KEEPALIVE = 15.0
#: Seconds after which the next address of a name is tried beside the one before (RFC 8305).
_NEXT_ADDRESS = 0.25
#: Answers with a lower status are interim ones: the one that counts follows.
_FINAL = 200
#: Bytes of an answer's body: several times what the largest call is answered with, every text in it repeated.
LONGEST_ANSWER = 32 * 1024 * 1024


class NotWritten(Exception):
    """No connection came about, so that nothing was sent."""


class AnswerLost(Exception):
    """The request was written, as far as that can be known, and no answer to it read."""


class Connections:
    """To one origin, as many as there are requests at a time."""

    def __init__(self, origin: httpx.URL, context: ssl.SSLContext) -> None:
        self._origin = origin
        self._context = context
        #: The one that rested longest comes first.
        self._idle: deque[_Connection] = deque()
        self._is_closed = False

    async def exchange(self, request: bytes, seconds: float) -> HttpAnswer:
        """Write a request and read its answer, which must be there in time. Raises ``NotWritten``, ``AnswerLost``."""
        connection, is_kept = self._kept() or await self._connected(), False
        try:
            async with asyncio.timeout(seconds):
                answer = await connection.exchange(request)
            is_kept = answer.keeps_alive and not self._is_closed
        except TimeoutError as error:
            raise AnswerLost("not in time") from error
        finally:
            if is_kept:
                self._rest(connection)
            else:
                connection.end()
        return answer

    def _rest(self, connection: _Connection) -> None:
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def close(self) -> None:
        """Close those that rest now, and others when they would."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().end()

    def _kept(self) -> _Connection | None:
        oldest = asyncio.get_running_loop().time() - KEEPALIVE
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().end()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connected(self) -> _Connection:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await _connect(self._origin, self._context)
        # A name that can't be one is a value error, and under uvloop some failures are runtime errors.
        except (OSError, ValueError, RuntimeError) as error:
            raise NotWritten("no connection") from error


class HttpAnswer:
    """As much of an answer as has come. The names of its headers are in lower case."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        #: Bytes of the body.
        self.length = 0
        #: Whether another request may follow on its connection.
        self.keeps_alive = False

    @property
    def body(self) -> bytes:
        """The body, as far as it has come."""
        return b"".join(self._pieces)

    def take(self, piece: bytes) -> None:
        """More of the body."""
        self._pieces.append(piece)
        self.length += len(piece)


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._answer = HttpAnswer()
        self._answered: asyncio.Future[HttpAnswer] | None = None
        #: Whether an answer has begun that only the end of the connection ends.
        self._ends_with_connection = False
        self.idle_since = 0.0

    async def exchange(self, request: bytes) -> HttpAnswer:
        """Write a request and wait for its answer. Raises ``AnswerLost``."""
        self._answer, self._answered = HttpAnswer(), asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    @property
    def is_open(self) -> bool:
        """Whether both ends are there, as far as the transport knows."""
        return not self._transport.is_closing()

    def end(self) -> None:
        """Close it, whatever is under way."""
        self._transport.abort()

    # What the connection tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._lose("not an answer", error)
            self.end()

    def eof_received(self) -> None:
        if self._ends_with_connection:
            self.on_message_complete()
        self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose("the connection ended", exc)

    # What the parser tells

    def on_message_begin(self) -> None:
        if self._awaited is None:
            # Nobody asked for it, and what comes next might be taken for the answer to another request.
            self.end()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        self._ends_with_connection = {"content-length", "transfer-encoding"}.isdisjoint(self._answer.headers)

    def on_body(self, body: bytes) -> None:
        self._answer.take(body)
        if self._answer.length > LONGEST_ANSWER:
            self._lose("an answer without end", None)
            self.end()

    def on_message_complete(self) -> None:
        self._ends_with_connection = False
        if self._answer.status < _FINAL:
            self._answer = HttpAnswer()
        elif (answered := self._awaited) is not None:
            self._answer.keeps_alive = self._parser.should_keep_alive()
            answered.set_result(self._answer)
            # What comes behind it in the same piece of data is no part of it.
            self._answer = HttpAnswer()

    @property
    def _awaited(self) -> asyncio.Future[HttpAnswer] | None:
        return None if self._answered is None or self._answered.done() else self._answered

    def _lose(self, why: str, cause: Exception | None) -> None:
        if (answered := self._awaited) is not None:
            error = AnswerLost(why)
            error.__cause__ = cause
            answered.set_exception(error)


async def _connect(origin: httpx.URL, context: ssl.SSLContext) -> _Connection:
    loop, secure = asyncio.get_running_loop(), origin.scheme == "https"
    found = await loop.getaddrinfo(origin.host, origin.port or (443 if secure else 80), type=socket.SOCK_STREAM)
    connected = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS)
    tls: dict[str, Any] = {"ssl": context, "server_hostname": origin.host} if secure else {}
    try:
        _, connection = await loop.create_connection(_Connection, sock=connected, **tls)
    except BaseException:
        with contextlib.suppress(OSError):
            connected.close()
        raise
    return connection
