"""Lists of subscribers that are larger than what a database takes at a time."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Engine

from gateway.store import records
from gateway.store.database import opened
from gateway.store.records import Contact, RecordStore


def test_a_large_list_comes_in_pieces(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_AT_ONCE", 700)
    named = [Contact(f"{number}", f"{number}", {"name": "Anna"}) for number in range(1500)]
    # In another piece than the one that it was in first.
    again = [Contact("0", "0", {"city": "Kyiv"}), Contact("1499", "1499", {"city": "Minsk"})]

    async def scenario() -> None:
        async with opened(engine) as database:
            store = RecordStore(database)
            assert await store.subscribe("shop", 1, [*named, *again]) == 1500
            assert await store.subscribe("shop", 1, named) == 0

    asyncio.run(scenario())
