"""What SMSBAT, and whatever stands before it, may do with a connection, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx
import pytest
import trustme

from gateway.outbound.connections import AnswerLost, Connections, HttpAnswer, NotWritten

REQUEST = b"POST /bat/messagelist HTTP/1.1\r\nHost: smsbat\r\nContent-Length: 2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
#: Longer than any of them takes.
PATIENCE = 10.0


@dataclass
class Peer:
    """A server that says to each request what is next, and what it saw."""

    says: list[bytes]
    #: By connection, what was sent there.
    connections: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection. It is ended after what ends with ``-`` (which is not sent)."""
        number = len(self.connections)
        self.connections.append(b"")
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.says:
                self.connections[number] += await reader.readexactly(len(REQUEST))
                said = self.says.pop(0)
                writer.write(said.removesuffix(b"-"))
                if said.endswith(b"-"):
                    break
            else:
                await reader.read()
        writer.close()


@contextlib.asynccontextmanager
async def peer(*says: bytes, authority: trustme.CA | None = None) -> AsyncIterator[tuple[Peer, Connections]]:
    """A server, and connections to it that trust an authority."""
    server_side, client_side = None, ssl.create_default_context()
    if authority is not None:
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(server_side)
        authority.configure_trust(client_side)
    there = Peer([*says])
    server = await asyncio.start_server(there.serve, "127.0.0.1", ssl=server_side)
    port = server.sockets[0].getsockname()[1]
    connections = Connections(httpx.URL(f"{'https' if authority else 'http'}://localhost:{port}"), client_side)
    try:
        yield there, connections
    finally:
        connections.close()
        server.close()
        for writer in there.writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in there.writers), return_exceptions=True)


def answers(*says: bytes, count: int = 1) -> tuple[Peer, list[HttpAnswer]]:
    """What so many requests, one after the other, are answered."""

    async def ask() -> tuple[Peer, list[HttpAnswer]]:
        async with peer(*says) as (there, connections):
            return there, [await connections.exchange(REQUEST, PATIENCE) for _ in range(count)]

    return asyncio.run(ask())


def test_requests_share_a_connection() -> None:
    there, both = answers(OK, OK, count=2)
    assert [(each.status, each.body) for each in both] == [(200, b"OK"), (200, b"OK")]
    assert there.connections == [REQUEST + REQUEST]


def test_requests_at_a_time_have_a_connection_each() -> None:
    async def ask() -> None:
        async with peer(OK, OK) as (there, connections):
            await asyncio.gather(*(connections.exchange(REQUEST, PATIENCE) for _ in range(2)))
            assert there.connections == [REQUEST, REQUEST]

    asyncio.run(ask())


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 200 OK\r\n\r\nOK-",
    ],
    ids=["it says so", "HTTP/1.0", "its end is the answer's end"],
)
def test_a_connection_that_does_not_last_is_not_used_again(said: bytes) -> None:
    there, both = answers(said, OK, count=2)
    assert [each.body for each in both] == [b"OK", b"OK"]
    assert there.connections == [REQUEST, REQUEST]


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nO\r\n1;x=y\r\nK\r\n0\r\n\r\n", 200, b"OK"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, 200, b"OK"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 429 Too Many Requests\r\nRETRY-AFTER: 7\r\nContent-Length: 0\r\n\r\n", 429, b""),
    ],
    ids=["in chunks", "interim answers before it", "no content", "too many"],
)
def test_answers_are_read_to_their_end(said: bytes, status: int, body: bytes) -> None:
    there, (answer, behind) = answers(said, OK, count=2)
    assert (answer.status, answer.body, behind.body) == (status, body, b"OK")
    assert "x" not in behind.headers
    assert answer.headers.get("retry-after", "") == ("7" if status == 429 else "")
    assert len(there.connections) == 1


def test_what_comes_behind_an_answer_is_no_part_of_it() -> None:
    """A proxy that closes a connection may say so in the same breath."""
    there, (answer, behind) = answers(OK + b"HTTP/1.1 408 Request Timeout\r\nRetry-After: 7\r\n\r\nlate", OK, count=2)
    assert (answer.status, answer.body, answer.headers) == (200, b"OK", {"content-length": "2"})
    assert behind.body == b"OK"
    assert there.connections == [REQUEST, REQUEST]


def test_an_answer_may_come_byte_by_byte() -> None:
    async def ask() -> None:
        async with peer(b"") as (there, connections):
            asked = asyncio.create_task(connections.exchange(REQUEST, PATIENCE))
            while not (there.connections and there.connections[0]):
                await asyncio.sleep(0.001)
            for place in range(len(OK)):
                there.writers[0].write(OK[place : place + 1])
                await there.writers[0].drain()
                await asyncio.sleep(0)
            assert (await asked).body == b"OK"

    asyncio.run(ask())


def lost(*says: bytes, seconds: float = PATIENCE) -> tuple[Peer, HttpAnswer]:
    """An answer is lost; the server, and what the next request is answered."""

    async def ask() -> tuple[Peer, HttpAnswer]:
        async with peer(*says) as (there, connections):
            with pytest.raises(AnswerLost):
                await connections.exchange(REQUEST, seconds)
            return there, await connections.exchange(REQUEST, PATIENCE)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"-",
        b"HTTP/1.1 200 OK\r\nContent-Le-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nOK-",
        b"SSH-2.0-x\r\n",
    ],
    ids=["another protocol", "none", "half a head", "half a body", "no HTTP"],
)
def test_an_answer_that_does_not_come_whole_is_lost(said: bytes) -> None:
    """The request may have been taken."""
    there, next_one = lost(said, OK)
    assert next_one.body == b"OK"
    assert there.connections == [REQUEST, REQUEST]


def test_an_answer_without_end_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.outbound.connections.LONGEST_ANSWER", 1000)
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"64\r\n%b\r\n" % (b"x" * 100) * 11
    _, next_one = lost(chunks, whole)
    assert len(next_one.body) == 1000


def test_an_answer_that_comes_too_late_is_nobodys() -> None:
    """Taken for the answer to the next request, it would tell of other messages."""
    there, next_one = lost(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nlat", OK, seconds=0.2)
    assert next_one.body == b"OK"
    assert there.connections == [REQUEST, REQUEST]


def asked_around(between: Callable[[asyncio.StreamWriter], None]) -> Peer:
    """Two requests, and what the server does to their connection in between, when it has come through."""

    async def ask() -> Peer:
        async with peer(OK, OK) as (there, connections):
            await connections.exchange(REQUEST, PATIENCE)
            between(there.writers[0])
            while connections._idle[0].is_open:
                await asyncio.sleep(0)
            assert (await connections.exchange(REQUEST, PATIENCE)).body == b"OK"
            return there

    return asyncio.run(ask())


def test_what_nobody_asked_for_is_no_answer() -> None:
    assert asked_around(lambda there: there.write(OK)).connections == [REQUEST, REQUEST]


def test_a_connection_that_ended_while_it_rested_is_not_used() -> None:
    assert asked_around(lambda there: there.close()).connections == [REQUEST, REQUEST]


def test_a_connection_that_rested_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall may have forgotten it."""
    monkeypatch.setattr("gateway.outbound.connections.KEEPALIVE", -1.0)
    there, _ = answers(OK, OK, count=2)
    assert there.connections == [REQUEST, REQUEST]


def test_nothing_is_written_to_a_name_that_is_none() -> None:
    connections = Connections(httpx.URL(f"http://{'a' * 64}.example"), ssl.create_default_context())
    with pytest.raises(NotWritten):
        asyncio.run(connections.exchange(REQUEST, PATIENCE))


def test_tls() -> None:
    async def ask() -> None:
        async with peer(OK, OK, authority=trustme.CA()) as (there, connections):
            assert [(await connections.exchange(REQUEST, PATIENCE)).body for _ in range(2)] == [b"OK", b"OK"]
            assert there.connections == [REQUEST + REQUEST]

    asyncio.run(ask())


def test_nothing_is_written_to_who_is_not_trusted() -> None:
    async def ask() -> None:
        async with peer(OK, authority=trustme.CA()) as (there, connections):
            connections._context = ssl.create_default_context()
            with pytest.raises(NotWritten):
                await connections.exchange(REQUEST, PATIENCE)
            assert there.connections in ([], [b""])

    asyncio.run(ask())
