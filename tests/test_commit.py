"""A commit whose answer is lost: what is stored counts as stored, what is not does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.errors import StoreUnavailable
from gateway.store.database import Database, opened
from gateway.store.engine import open_engine
from gateway.store.messages import MessageStore
from tests.support.postgres import new_database
from tests.support.relay import Relay, relayed
from tests.support.stores import NOW, message


def test_a_commit_whose_answer_is_lost_is_looked_up() -> None:
    """Refused, its client would send it again, and the subscriber have it twice."""

    async def scenario(database: Database, relay: Relay) -> None:
        store = MessageStore(database)
        await store.accept([message(1)], "main")
        relay.lose = "answer"
        assert await store.accept([message(2)], "main") == ["id-00002"]
        assert relay.lose is None
        assert [each.id for each in (await store.unsettled("main", NOW, 10)).messages] == ["id-00001", "id-00002"]

    _run(scenario)


def test_a_commit_that_is_lost_is_none() -> None:
    async def scenario(database: Database, relay: Relay) -> None:
        store = MessageStore(database)
        await store.accept([message(1)], "main")
        relay.lose = "request"
        with pytest.raises(StoreUnavailable):
            await store.accept([message(2)], "main")
        assert await store.accept([message(3)], "main") == ["id-00003"]
        assert [each.id for each in (await store.unsettled("main", NOW, 10)).messages] == ["id-00001", "id-00003"]

    _run(scenario)


def _run(scenario: Callable[[Database, Relay], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with relayed(new_database()) as (relay, url), opened(open_engine(url)) as database:
            await scenario(database, relay)

    asyncio.run(whole())
