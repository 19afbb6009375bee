"""One sender by itself: what it does when others may have its messages, and before another one follows."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import insert, select, update

from gateway.core.messages import Message, Outcome, Receipt, State
from gateway.mapping.accounts import Account
from gateway.outbound.callbacks import CallbackDispatcher
from gateway.outbound.reports import Reports
from gateway.outbound.sender import Sender
from gateway.sandbox.behaviour import Fault
from gateway.store import tables
from gateway.store.callbacks import Script
from gateway.store.database import opened
from gateway.store.engine import open_engine
from gateway.store.messages import MessageStore
from gateway.store.reports import Applied, ReportStore
from gateway.store.settled import Settled
from gateway.store.writer import Told
from tests.support.servers import plan_for, running_sandbox
from tests.support.stores import message

_ANOTHERS = update(tables.messages).values(node="another")
_IS_THERE = insert(tables.nodes).values(id="another", host="", process="", until=1 << 62)


@dataclass
class _Named:
    """A node under a name that others may strike off."""

    id: str = "first"
    is_sure: bool = True


class _NoScripts:
    """In a dispatcher's place: nobody is owed a word."""

    def wake(self, owed: Iterable[Script]) -> None:
        assert not [*owed]


def sending(
    folder: Path,
    scenario: Callable[[Sender, MessageStore, _Named, Account], Awaitable[None]],
    smsbat: dict[str, Any] | None = None,
    **options: Any,
) -> list[str]:
    """Run it with a sender of its own; returns the ids of the messages that the sandbox got."""

    async def whole(url: str) -> None:
        plan, share = plan_for(folder, url, smsbat), _Named()
        async with opened(open_engine(f"sqlite:///{folder / 'gateway.db'}")) as database:
            store = MessageStore(database, share)
            reports = Reports(ReportStore(database, {}), cast("CallbackDispatcher", _NoScripts()))
            accounts = plan.accounts.accounts
            sender = Sender(plan.accounts.smsbat["main"], plan.upstream, accounts, store, reports)
            await sender.start()
            await scenario(sender, store, share, accounts["demo"])
            await sender.stop()

    with running_sandbox(**options) as sandbox:
        asyncio.run(whole(sandbox.url))
        return [each["customerMessageId"] for each in sandbox.received]


def due(number: int) -> Message:
    now = int(time.time() * 1000)
    return message(number)._replace(accepted_at=now, due_at=now)


async def state_of_all(store: MessageStore) -> str | None:
    """The state of the only message."""
    return await store._writer.run(lambda connection: connection.scalar(select(tables.messages.c.state)))


async def outcomes(verdicts: Awaitable[list[Receipt] | Receipt]) -> list[Outcome]:
    found = await verdicts
    return [each.outcome for each in ([found] if isinstance(found, Receipt) else found)]


def test_what_was_stored_under_an_old_name_is_not_sent_beside_who_took_it_over(tmp_path: Path) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def scenario(sender: Sender, store: MessageStore, share: _Named, account: Account) -> None:
        writer = store._writer

        async def taken_over_meanwhile(told: Told) -> None:
            await writer.run(lambda connection: connection.execute(_ANOTHERS).rowcount)
            await writer.run(lambda connection: connection.execute(_IS_THERE).rowcount)
            share.id = "second"
            sender.start_over()
            told(None)

        def storing(told: Told) -> None:
            store.put([due(1)], "main", [], lambda _: tasks.append(asyncio.create_task(taken_over_meanwhile(told))))

        # Who waits is told what it would be told of any message that is on its way.
        waiting = sender.submit([due(1)], account, time.monotonic() + 0.3, storing)
        assert await outcomes(waiting) == [Outcome.UNKNOWN]
        own = partial(store.put, [due(2)], "main", [])
        assert await outcomes(sender.submit([due(2)], account, time.monotonic() + 5, own)) == [Outcome.ACCEPTED]

    assert sending(tmp_path, scenario) == [message(2).id]


def test_before_another_one_follows_calls_are_waited_for_as_long_as_they_may_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is cut off is made again: mapping files that change while SMSBAT is slow must not double messages."""
    monkeypatch.setattr("gateway.outbound.sender.STOP_TIMEOUT", 0.0)

    async def scenario(sender: Sender, store: MessageStore, share: _Named, account: Account) -> None:
        own = partial(store.put, [due(1)], "main", [])
        assert await outcomes(sender.submit([due(1)], account, time.monotonic() + 0.1, own)) == [Outcome.UNKNOWN]
        await sender.finish()
        await sender.stop()
        assert (await store.unsettled("main", due(1).due_at + 1000, 10)).messages == []

    assert sending(tmp_path, scenario, latency=0.5) == [message(1).id]


def test_what_was_withdrawn_without_our_knowing_goes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL can be away for longer than it is asked what became of a commit; the client is told success then."""

    async def scenario(sender: Sender, store: MessageStore, share: _Named, account: Account) -> None:
        stored = sender._calls.settlement.stored

        async def answer_lost(settled: list[Settled], owed: bool = False) -> bool:
            assert await stored(settled, owed)
            return False

        own = partial(store.put, [due(1)], "main", [])
        patient = replace(account, refuse_on_timeout=True)
        with monkeypatch.context() as patch:
            patch.setattr(sender._calls.settlement, "stored", answer_lost)
            patch.setattr(sender._pace, "delay", lambda *_: math.inf)
            assert await outcomes(sender.submit([due(1)], patient, time.monotonic() + 0.1, own)) == [Outcome.UNKNOWN]
        async with asyncio.timeout(20):
            while await state_of_all(store) != State.SUBMITTED:
                sender.released()

    assert sending(tmp_path, scenario) == [message(1).id]


def test_what_another_one_may_have_by_now_is_not_withdrawn(tmp_path: Path) -> None:
    """A machine that stood still for a while: the client would send again what the other node sends."""

    async def scenario(sender: Sender, store: MessageStore, share: _Named, account: Account) -> None:
        share.is_sure = False
        own = partial(store.put, [due(1)], "main", [])
        patient = replace(account, refuse_on_timeout=True)
        assert await outcomes(sender.submit([due(1)], patient, time.monotonic() + 0.1, own)) == [Outcome.UNKNOWN]
        assert await state_of_all(store) == State.ACCEPTED

    assert sending(tmp_path, scenario) == []


def test_a_call_from_before_a_new_beginning_is_remembered(tmp_path: Path) -> None:
    """Its answer is lost, and made again the call is told of a duplicate: SMSBAT has the message."""

    async def scenario(sender: Sender, store: MessageStore, share: _Named, account: Account) -> None:
        lost = due(1)._replace(recipient="99906000001", digits="99906000001")
        own = partial(store.put, [lost], "main", [])
        assert await outcomes(sender.submit([lost], account, time.monotonic() + 0.1, own)) == [Outcome.UNKNOWN]
        share.id = "second"
        sender.start_over()
        async with asyncio.timeout(20):
            while (state := await state_of_all(store)) == State.ACCEPTED:
                await asyncio.sleep(0.01)
        assert state == State.SUBMITTED

    assert sending(tmp_path, scenario, smsbat={"timeout": 1.0}, refuse_duplicates=True) == [message(1).id]


def test_many_failures_are_written_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody else who writes waits for a transaction, and a node that waits too long counts as dead."""
    sizes: list[int] = []

    async def scenario(sender: Sender, store: MessageStore, share: _Named, account: Account) -> None:
        settle_failed = store.settle_failed

        async def counted(settled: Collection[Settled], *arguments: Any) -> Applied:
            sizes.append(len(settled))
            return await settle_failed(settled, *arguments)

        monkeypatch.setattr(store, "settle_failed", counted)
        many = [due(number) for number in range(1, 251)]
        own = partial(store.put, many, "main", [])
        await sender.submit(many, account, time.monotonic(), own)
        async with asyncio.timeout(20):
            while sum(sizes) < len(many):
                await asyncio.sleep(0.01)

    sending(tmp_path, scenario, latency=0.2, fault=Fault.BALANCE)
    assert sorted(sizes) == [50, 100, 100]


def test_who_begins_to_wait_while_it_is_written_down_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading of the store brought the message before its request was told that it is there."""

    async def scenario(sender: Sender, store: MessageStore, share: _Named, account: Account) -> None:
        stored, writing, may_end = sender._calls.settlement.stored, asyncio.Event(), asyncio.Event()

        async def slowly(settled: list[Settled], owed: bool = False) -> bool:
            writing.set()
            await may_end.wait()
            return await stored(settled, owed)

        monkeypatch.setattr(sender._calls.settlement, "stored", slowly)
        message = due(1)
        await store.accept([message], "main")
        sender.released()
        await writing.wait()
        late = asyncio.create_task(outcomes(sender.submit([message], account, time.monotonic() + 60, share.id)))
        await asyncio.sleep(0)
        may_end.set()
        assert await asyncio.wait_for(late, 10) == [Outcome.ACCEPTED]

    assert len(sending(tmp_path, scenario)) == 1
