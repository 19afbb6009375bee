"""Which requests the server waits for when it stops: all that have begun, until their answers have left; no others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from gateway.inbound.body import Receive, Send
from gateway.inbound.protocol import legacy_protocol
from gateway.listener import bind, listening
from gateway.mapping.answers import Answer
from tests.support.raw import post
from tests.support.servers import ANY_PORT, bound_name, eventually, running

REQUEST = post(b"a=1")


async def close_first(scope: Any, receive: Receive, send: Send) -> None:
    """Ends the connection with its answer."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b""})


@contextlib.contextmanager
def serving(app: Any) -> Iterator[tuple[uvicorn.Server, socket.socket]]:
    """A server with an application, and a connection to it."""
    bound = bind(ANY_PORT)
    protocol = legacy_protocol(lambda kind, host, path: Answer(400, (), b""))
    with running(lambda: listening(app, [bound], protocol)) as server, socket.socket() as client:
        client.connect(bound_name(bound))
        yield server, client


def test_those_that_wait_behind_a_lost_connection_are_forgotten() -> None:
    may_end = threading.Event()

    async def wait(scope: Any, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(may_end.wait, 60)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with serving(wait) as (server, client):
        client.sendall(REQUEST * 20)
        eventually(lambda: len(server.server_state.tasks) == 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        may_end.set()
        eventually(lambda: not server.server_state.tasks)


def test_those_behind_an_answer_that_ends_the_connection_are_forgotten() -> None:
    with serving(close_first) as (server, client):
        client.sendall(REQUEST * 3)
        while client.recv(1000):
            pass
        eventually(lambda: not server.server_state.tasks and not server.server_state.connections)
        assert server.server_state.total_requests == 1


class Nowhere(asyncio.Transport):
    """The other end of a connection that is not there."""

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        pass

    def close(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def test_who_is_gone_before_a_request_begins_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """He may ask again; a head that is known makes no difference."""
    served: list[str] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        served.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def program() -> None:
        config = uvicorn.Config(app, log_config=None, access_log=False)
        config.load()
        state, kind = uvicorn.server.ServerState(), legacy_protocol(lambda *where: Answer(400, (), b""))
        for _ in range(2):
            there = kind(config=config, server_state=state, app_state={})
            there.connection_made(Nowhere())
            there.data_received(REQUEST)
            while state.tasks:
                await asyncio.sleep(0)
            gone = kind(config=config, server_state=state, app_state={})
            gone.connection_made(Nowhere())
            gone.data_received(REQUEST)
            gone.connection_lost(None)
            while state.tasks:
                await asyncio.sleep(0)
            there.connection_lost(None)

    asyncio.run(asyncio.wait_for(program(), 10))
    assert served == ["/", "/"]
