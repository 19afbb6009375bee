"""SIGTERM while thousands of requests are in flight: every one of them is answered as it would have been."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.settings import Address, host_and_port
from tests.support.load import ACCEPTED, asked, numbers
from tests.support.process import gateway_process
from tests.support.raw import Connection, answer_text, post, signed, urlencoded
from tests.support.servers import (
    accounts,
    eventually,
    free_address,
    running_gateway,
    running_sandbox,
    write_mappings,
)

COUNT = 2000
#: Seconds that SMSBAT takes for an answer: all requests are there before the first of them is answered.
LATENCY = 4.0


def stored(file: Path) -> int:
    database = sqlite3.connect(file)
    try:
        found: int = database.execute("SELECT count(*) FROM messages").fetchone()[0]
        return found
    finally:
        database.close()


async def in_flight(address: Address, file: Path, stop: Callable[[], None]) -> tuple[int, Counter[bytes]]:
    """Send all at once, and stop the gateway when all are stored; how many were answered by then, and all answers."""
    place = host_and_port(address)
    connections = [await asyncio.open_connection(*place) for _ in range(COUNT)]
    requests = [post(urlencoded(signed(phone=phone, txt="hello"))) for phone in numbers(COUNT)]
    answers = [
        asyncio.create_task(asked(*connection, raw)) for connection, raw in zip(connections, requests, strict=True)
    ]
    while await asyncio.to_thread(stored, file) < COUNT:
        await asyncio.sleep(0.01)
    answered = sum(each.done() for each in answers)
    stop()
    found = await asyncio.gather(*answers, return_exceptions=True)
    for _, writer in connections:
        writer.close()
    kinds = (b"accepted" if isinstance(each, bytes) and ACCEPTED in each else repr(each).encode() for each in found)
    return answered, Counter(kinds)


@pytest.mark.parametrize("workers", [1, 2])
def test_two_thousand_requests_in_flight_are_all_answered(workers: int, tmp_path: Path) -> None:
    with running_sandbox(latency=LATENCY) as sandbox:
        mappings = write_mappings(tmp_path / "mappings", accounts(sandbox.url, wait=30))
        file, many = tmp_path / "gateway.db", {"GATEWAY_WORKERS": str(workers)}
        with gateway_process(mappings, file, free_address(), tmp_path / "log", many) as process:
            answered, answers = asyncio.run(in_flight(process.address, file, process.ask_to_stop))
            assert (answered, answers) == (0, {b"accepted": COUNT})
            assert process.ended() == 0
        assert (sandbox.summary()["messages"], sandbox.summary()["doubles"]) == (COUNT, 0)


def test_a_request_that_outlasts_the_stop_is_answered_in_its_dialect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.listener.GRACE", 1)
    with running_sandbox(latency=LATENCY) as sandbox:
        with running_gateway(tmp_path, sandbox.url, wait=30) as address:
            connection = Connection(address)
            connection.write(post(urlencoded(signed(phone="380500000001", txt="hello"))))
            eventually(lambda: stored(tmp_path / "gateway.db"))
        with connection:
            assert connection.read().text == answer_text(-4, "TEMPORARY ERROR")
