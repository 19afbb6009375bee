"""Accepted means on disk: load, limits, kills and an SMSBAT that goes away. The books of both ends are compared."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gateway.sandbox.behaviour import Fault
from tests.support.load import Books, numbers, run_load
from tests.support.process import GatewayProcess, gateway_process
from tests.support.servers import (
    RunningSandbox,
    accounts,
    eventually,
    free_address,
    running_gateway,
    running_sandbox,
    write_mappings,
)


def times_received(sandbox: RunningSandbox) -> dict[str, int]:
    """How often each number's message reached SMSBAT."""
    counts: dict[str, int] = {}
    for each in sandbox.received:
        counts[each["to"]] = counts.get(each["to"], 0) + 1
    return counts


def test_two_thousand_requests_against_the_call_limit(tmp_path: Path) -> None:
    """SMSBAT answers in 50 ms and counts calls; 64 clients send as fast as they can."""
    phones = numbers(2000)
    with running_sandbox(latency=0.05) as sandbox, running_gateway(tmp_path, sandbox.url) as address:
        books = run_load(address, phones, connections=64)
        assert (sorted(books.accepted), books.refused, books.broken) == (phones, [], 0)
        assert times_received(sandbox) == dict.fromkeys(phones, 1)
        assert sandbox.summary()["too_many"] == 0


def test_no_more_calls_than_allowed_when_calls_are_many(tmp_path: Path) -> None:
    """A single client makes one call a request: as many as the limit lets through, and no 429."""
    phones = numbers(400)
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url) as address:
        books = run_load(address, phones, connections=2)
        assert sorted(books.accepted) == phones
        assert sandbox.summary()["calls"] > 200
        assert sandbox.summary()["too_many"] == 0


@pytest.fixture
def deployment(tmp_path: Path) -> tuple[Path, Path, str]:
    """Mappings, database and the address of an SMSBAT that is not there yet."""
    smsbat = free_address()
    return write_mappings(tmp_path / "mappings", accounts(f"http://{smsbat}")), tmp_path / "gateway.db", smsbat


def test_killed_in_the_middle_nothing_accepted_is_lost(
    deployment: tuple[Path, Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mappings, database, smsbat = deployment
    accepted: set[str] = set()
    with running_sandbox(smsbat, latency=0.02) as sandbox:
        for life in range(3):
            accepted |= set(_load_and_kill(mappings, database, tmp_path, sandbox, prefix=f"3809{life}").accepted)
        with gateway_process(mappings, database, free_address(), tmp_path / "log"):
            eventually(lambda: accepted <= set(times_received(sandbox)))
        doubles = sum(count - 1 for count in times_received(sandbox).values())
        ids = {each["customerMessageId"] for each in sandbox.received}
        assert len(ids) == len(times_received(sandbox)), "a message went out under two ids"
    with capsys.disabled():
        print(f"\n  3 kills: {len(accepted)} accepted, 0 lost, {doubles} sent twice with the same customerMessageId")


def _load_and_kill(mappings: Path, database: Path, folder: Path, sandbox: RunningSandbox, prefix: str) -> Books:
    """One life of the gateway: full speed, then SIGKILL in the middle of it."""
    before = len(sandbox.received)
    with gateway_process(mappings, database, free_address(), folder / "log") as process:
        killer = threading.Thread(target=_kill_after, args=(process, sandbox, before + 300))
        killer.start()
        books = run_load(process.address, numbers(20_000, prefix), connections=32)
        killer.join()
    assert books.broken > 0
    return books


def _kill_after(process: GatewayProcess, sandbox: RunningSandbox, messages: int) -> None:
    eventually(lambda: len(sandbox.received) >= messages)
    process.kill()


def test_smsbat_away_under_load(tmp_path: Path) -> None:
    """Every request is answered within the account's wait, and everything arrives when SMSBAT is back."""
    smsbat, phones = free_address(), numbers(600)
    with running_gateway(tmp_path, f"http://{smsbat}", wait=0.5) as address:
        books = run_load(address, phones, connections=64)
        assert (sorted(books.accepted), books.broken) == (phones, 0)
        assert books.longest < 5.0
        with running_sandbox(smsbat) as sandbox:
            eventually(lambda: times_received(sandbox) == dict.fromkeys(phones, 1))


def test_smsbat_in_trouble_for_a_while(tmp_path: Path) -> None:
    """It answers 503 to everything at first; then each message arrives once."""
    phones = numbers(300)
    with running_sandbox(fault=Fault.UNAVAILABLE) as sandbox:
        with running_gateway(tmp_path, sandbox.url, wait=0.2) as address:
            books = run_load(address, phones, connections=32)
            assert sorted(books.accepted) == phones
            sandbox.options.fault = None
            eventually(lambda: times_received(sandbox) == dict.fromkeys(phones, 1))


def test_sigterm_under_load_loses_and_doubles_nothing(deployment: tuple[Path, Path, str], tmp_path: Path) -> None:
    mappings, database, smsbat = deployment
    with running_sandbox(smsbat, latency=0.02) as sandbox:
        with gateway_process(mappings, database, free_address(), tmp_path / "log") as process:
            books = Books()
            load = threading.Thread(
                target=lambda: books.accepted.extend(run_load(process.address, numbers(20_000), 32).accepted)
            )
            load.start()
            eventually(lambda: len(sandbox.received) >= 300)
            assert process.terminate() == 0
            load.join()
        with gateway_process(mappings, database, free_address(), tmp_path / "log"):
            eventually(lambda: set(books.accepted) <= set(times_received(sandbox)))
        assert set(times_received(sandbox).values()) == {1}
