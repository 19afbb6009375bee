"""Status reads when SMSBAT is slow, or refuses them: each message once, never for ever, and nothing waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.core.retry import LONGEST_PAUSE
from gateway.outbound import releaser
from gateway.outbound.callbacks import CallbackDispatcher
from gateway.outbound.client import Answered
from gateway.outbound.poller import Poller
from gateway.outbound.releaser import Releaser
from gateway.outbound.reports import Reports
from gateway.store.releases import ReleaseStore
from gateway.store.reports import Check
from tests.support.servers import plan_for

CHECKS = [Check(f"id-{i}", "demo", f"{i}", 0, None, 1 << 50) for i in range(6)]


class _Store:
    async def checked(self, check: Check, next_check: int) -> None: ...


class _Reports:
    store = _Store()


def polling(folder: Path) -> Poller:
    plan = plan_for(folder, "http://127.0.0.1:1", {"reads_per_second": 1000})
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


class _Silent:
    """A poller whose questions are never answered."""

    async def ask(self, checks: Sequence[Check]) -> None:
        await asyncio.Event().wait()


class _Due:
    """Messages to go out instead of others."""

    def __init__(self) -> None:
        self.followed = False

    async def firsts(self, now: int) -> Mapping[str, Sequence[Check]]:
        return {"main": CHECKS}

    async def follow(self, now: int) -> Mapping[str, int]:
        self.followed = True
        return {}

    async def next_due(self, now: int) -> int | None:
        return None


def test_what_is_sent_instead_does_not_wait_for_a_status_that_can_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releaser, "_LAST_LOOK", 0.01)
    due = _Due()

    async def scenario() -> None:
        pollers: Any = {"main": _Silent()}
        await Releaser(cast("ReleaseStore", due), {}, pollers, cast("CallbackDispatcher", None))._follow_ups(0)

    asyncio.run(scenario())
    assert due.followed
