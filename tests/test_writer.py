"""How writes gather into groups, and who is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import Engine

from gateway.core.messages import ACCEPTED
from gateway.errors import RowRefused
from gateway.store import writer
from gateway.store.database import opened
from gateway.store.messages import MessageStore
from gateway.store.settled import Settled
from tests.support.stores import NOW, message


def run(engine: Engine, scenario: Callable[[MessageStore], Coroutine[Any, Any, None]]) -> list[int]:
    """The sizes of the groups that a scenario's writes were committed in."""
    sizes: list[int] = []

    async def whole() -> None:
        async with opened(engine) as database:
            commit = database.writer._commit

            def counted(group: list[Any], tries: int = 1) -> None:
                sizes.append(len(group))
                commit(group, tries)

            # Of this writer alone: another test's gateway may be there in this process.
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(database.writer, "_commit", counted)
                await scenario(MessageStore(database))
                await database.writer.close()

    asyncio.run(whole())
    return sizes


def test_what_comes_in_one_turn_of_the_loop_is_one_group(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        await asyncio.gather(*(store.accept([message(number)], "main") for number in range(50)))

    assert run(engine, scenario) == [50]


def test_what_is_read_in_one_turn_and_stored_in_the_next_is_of_the_same_group(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_GATHER", 60.0)

    async def scenario(store: MessageStore) -> None:
        first = asyncio.create_task(store.accept([message(1)], "main"))
        await asyncio.sleep(0)
        # It begins in the next turn.
        await asyncio.gather(first, store.accept([message(2)], "main"))

    assert run(engine, scenario) == [2]


def test_what_may_wait_is_written_with_what_comes_next(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        await store.accept([message(1)], "main")
        settling = asyncio.create_task(store.settle([Settled.by(message(1), ACCEPTED)], NOW))
        await asyncio.sleep(0)
        await store.accept([message(2)], "main")
        await settling

    assert run(engine, scenario) == [1, 2]


def test_what_may_wait_is_written_though_nothing_comes(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        await store.accept([message(1)], "main")
        await asyncio.wait_for(store.settle([Settled.by(message(1), ACCEPTED)], NOW), 5)

    assert run(engine, scenario) == [1, 1]


def test_each_is_told_what_became_of_it_though_another_can_not_be_told(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        told: asyncio.Queue[Exception | None] = asyncio.Queue()

        def fail(_: Exception | None) -> None:
            raise RuntimeError

        await store.accept([message(1)], "main")
        for number, tell in ((2, told.put_nowait), (3, fail), (1, told.put_nowait), (4, told.put_nowait)):
            store.put([message(number)], "main", [], tell)
        results = [await asyncio.wait_for(told.get(), 5) for _ in range(3)]
        assert [type(each) for each in results] == [type(None), RowRefused, type(None)]
        assert "id-0" not in str(results[1])

    assert run(engine, scenario) == [1, 4, 1, 1, 1, 1]


def test_what_still_gathers_is_written_at_the_end(engine: Engine) -> None:
    told: list[Exception | None] = []

    async def scenario(store: MessageStore) -> None:
        store.put([message(1)], "main", [], told.append)

    assert run(engine, scenario) == [1]
    assert told == [None]
