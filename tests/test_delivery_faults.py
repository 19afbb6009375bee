"""Faults between the gateway, its database and SMSBAT that a review found to lose, double or stall messages."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request

from gateway.mapping.accounts import SmsbatLogin
from gateway.mapping.schema.accounts import Credential
from gateway.outbound.client import Answered, NoAnswer, SmsbatClient
from gateway.sandbox.behaviour import Fault
from gateway.sandbox.smsbat import Sandbox
from tests.support.servers import eventually, free_address, running_gateway, running_sandbox
from tests.test_verdicts import TEMPORARY, is_stored, send, stored


def test_a_bad_message_from_an_outage_stalls_nobody(tmp_path: Path) -> None:
    """It was queued while SMSBAT was away, and makes every call that holds it fail when SMSBAT is back."""
    smsbat = free_address()
    with running_gateway(tmp_path, f"http://{smsbat}", wait=0.1) as address:
        assert send(address, ["380500000301", "99907000301", "380500000302"]).code == 0
        with running_sandbox(smsbat) as sandbox:
            assert send(address, "380500000303").code == 0
            wanted = {"380500000301", "380500000302", "380500000303"}
            eventually(lambda: wanted <= {each["to"] for each in sandbox.received}, seconds=30)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another program holds the database."""
    other = sqlite3.connect(folder / "gateway.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_refusal_that_is_being_written_is_what_the_client_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SMSBAT refuses the key in time, but the database is held up until after the wait has ended."""
    with running_sandbox(key="another") as sandbox:
        with running_gateway(tmp_path, sandbox.url, wait=1.0) as address:
            answers: list[str] = []
            client = threading.Thread(target=lambda: answers.append(send(address, "380500000304").text))
            with _held_from_the_first_call(tmp_path, sandbox.sandbox, monkeypatch):
                client.start()
                eventually(lambda: sandbox.summary()["calls"] == 1)
                client.join(1.5)
                assert answers == []
            client.join()
            assert answers == [TEMPORARY]
            assert stored(tmp_path, "380500000304")[0] == "refused"


def test_a_refused_key_that_can_not_be_written_in_time_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is told success in the end, so the message waits for the key to be mended."""
    monkeypatch.setattr("gateway.store.engine.BUSY_TIMEOUT", 0.2)
    with running_sandbox(key="another") as sandbox:
        with running_gateway(tmp_path, sandbox.url, wait=0.4) as address:
            with monkeypatch.context() as patch, _held_from_the_first_call(tmp_path, sandbox.sandbox, patch):
                assert send(address, "380500000309").code == 0
            sandbox.options.key = "sandbox-key"
            eventually(lambda: stored(tmp_path, "380500000309")[0] == "submitted")
            assert len(sandbox.received) == 1


@contextlib.contextmanager
def _held_from_the_first_call(folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another program holds the database from then on: the message is stored by that time, its refusal is not."""
    authorized, holder = sandbox._authorized, contextlib.ExitStack()

    def hold_then_judge(request: Request) -> bool:
        holder.enter_context(locked(folder))
        return authorized(request)

    monkeypatch.setattr(sandbox, "_authorized", hold_then_judge)
    with holder:
        yield


def test_a_withdrawal_that_can_not_be_written_is_no_refusal_and_no_second_copy(tmp_path: Path) -> None:
    smsbat = free_address()
    with running_gateway(tmp_path, f"http://{smsbat}", wait=1.0, on_timeout="refuse") as address:
        answers: list[int] = []
        client = threading.Thread(target=lambda: answers.append(send(address, "380500000305").code))
        client.start()
        eventually(lambda: is_stored(tmp_path, "380500000305"))
        with locked(tmp_path):
            client.join()
        assert answers == [0]
        with running_sandbox(smsbat) as sandbox:
            eventually(lambda: stored(tmp_path, "380500000305")[0] == "submitted")
            assert [each["to"] for each in sandbox.received] == ["380500000305"]


def test_the_key_is_mended_and_what_waited_goes_out(tmp_path: Path) -> None:
    smsbat = free_address()
    with running_gateway(tmp_path, f"http://{smsbat}", wait=0.1) as address:
        assert send(address, ["380500000306", "380500000307"]).code == 0
        with running_sandbox(smsbat, fault=Fault.FORBIDDEN) as sandbox:
            eventually(lambda: sandbox.summary()["calls"] > 0)
            sandbox.options.fault = None
            eventually(lambda: len(sandbox.received) == 2)


# The call itself


def submit(address: str, body: bytes, timeout: float = 0.3, peer: socket.socket | None = None) -> object:
    """Make one call; ``peer`` is closed behind it, so that the event loop can let go of what was never read."""
    settings = Credential.model_validate({"url": f"http://{address}", "key": "k", "timeout": timeout})

    async def call() -> object:
        client = SmsbatClient(SmsbatLogin("main", settings, {}), "/bat/messagelist")
        try:
            return await asyncio.wait_for(client.submit(body), 20)
        finally:
            client.close()
            if peer is not None:
                peer.close()
            await asyncio.sleep(0.05)

    return asyncio.run(call())


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """It accepts connections and neither reads nor answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def address_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_peer_that_stops_reading_is_given_up(deaf: socket.socket) -> None:
    assert submit(address_of(deaf), b"x" * 20_000_000, peer=deaf) == NoAnswer(True, "TimeoutError")


def test_an_answer_that_is_packed_all_the_same() -> None:
    packed = gzip.compress(b'{"messages":[]}')
    said = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=_answer_one, args=(listener, said))
        answering.start()
        assert submit(address_of(listener), b"{}", timeout=5) == Answered(200, b'{"messages":[]}', None)
        answering.join()


def _answer_one(listener: socket.socket, said: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(said)


def test_a_peer_that_never_answers_may_have_taken_the_call(deaf: socket.socket) -> None:
    assert submit(address_of(deaf), b"{}", peer=deaf) == NoAnswer(True, "TimeoutError")


def test_a_refused_connection_took_nothing() -> None:
    assert submit(free_address(), b"{}") == NoAnswer(False, "ConnectionRefusedError")


def test_a_connection_that_never_comes_about_took_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue of unaccepted connections lets no further one in."""
    monkeypatch.setattr("gateway.outbound.connections.CONNECT_TIMEOUT", 0.3)
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with contextlib.suppress(TimeoutError):
            while True:
                stack.enter_context(socket.create_connection(listener.getsockname(), timeout=0.2))
        assert submit(address_of(listener), b"{}", timeout=5) == NoAnswer(False, "TimeoutError")
