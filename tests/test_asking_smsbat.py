"""Status reads when SMSBAT is slow, or refuses them: each message once, never for ever, and nothing waits for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, cast

import pytest

from gateway.core.retry import LONGEST_PAUSE
from gateway.outbound import poller as poller_module
from gateway.outbound.client import Answered
from gateway.outbound.poller import Poller
from gateway.outbound.reports import Reports
from gateway.store.reports import Check
from tests.support.servers import plan_for

CHECKS = [Check(f"id-{i}", f"{i}", 0, None, 1 << 50) for i in range(6)]


class _Store:
    async def checked(self, check: Check, next_check: int) -> None: ...


class _Reports:
    store = _Store()


def polling(folder: Path, reads_per_second: int = 1000) -> Poller:
    plan = plan_for(folder, "http://127.0.0.1:1", {"reads_per_second": reads_per_second})
    return Poller(plan.accounts.smsbat["main"], plan.upstream.hooks, cast("Reports", _Reports()))


def test_who_ask_at_the_same_moment_ask_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def scenario() -> None:
        answers = asyncio.Event()

        async def read(message_id: str) -> Answered:
            asked.append(message_id)
            await answers.wait()
            return Answered(404, b"", None)

        poller = polling(tmp_path)
        monkeypatch.setattr(poller._client, "read", read)
        await asyncio.gather(*(poller._look(check) for check in CHECKS * 3))
        reading = [*poller._reading.values()]
        answers.set()
        await asyncio.gather(*reading)

    asyncio.run(scenario())
    assert sorted(asked) == [check.upstream_id for check in CHECKS]


def test_a_pause_that_smsbat_asks_for_has_an_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        poller = polling(tmp_path)
        assert not poller._is_answer(Answered(503, b"", 86_400.0))
        assert LONGEST_PAUSE - 1 < poller._delay() <= LONGEST_PAUSE

    asyncio.run(scenario())


def test_who_asks_ahead_of_others_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that are sent instead of others go out by what is known, when SMSBAT says nothing."""
    monkeypatch.setattr(poller_module, "_PATIENCE", 0.01)

    async def read(message_id: str) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    async def scenario() -> None:
        poller = polling(tmp_path)
        monkeypatch.setattr(poller._client, "read", read)
        async with asyncio.timeout(5):
            await poller.ask(CHECKS)
        assert poller._reading

    asyncio.run(scenario())


def test_as_many_as_are_due_are_asked_about_however_long_that_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "_PATIENCE", 3.0)
    asked: list[str] = []

    async def read(message_id: str) -> Answered:
        asked.append(message_id)
        return Answered(404, b"", None)

    async def scenario() -> None:
        poller = polling(tmp_path, reads_per_second=40)
        monkeypatch.setattr(poller._client, "read", read)
        await poller.ask([replace(CHECKS[0], id=f"id-{i}", upstream_id=f"{i}") for i in range(150)])

    asyncio.run(scenario())
    assert len(asked) == 150


def test_reads_that_smsbat_refuses_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its messages may all be delivered, and would count as undelivered in the end."""
    told: list[str] = []
    monkeypatch.setattr(poller_module.log, "error", lambda event, **_: told.append(event))
    monkeypatch.setattr(poller_module.log, "warning", lambda event, **_: told.append(event))
    poller = polling(tmp_path)
    for status in (200, 403, 403, 401, 500, 403, 404, 200):
        poller._is_answer(Answered(status, b"", None))
    assert told == ["smsbat refuses to say what became of messages", "smsbat says again what became of messages"]
