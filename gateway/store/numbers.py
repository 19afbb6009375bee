"""Integer ids, counted up for each account (wire: smsby.md, 3: below 2^31, one number space for everything)."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from sqlalchemy import Connection, insert, select, update

from gateway.core.ids import LARGEST_NUMBER
from gateway.errors import StoreUnavailable
from gateway.store.database import Database
from gateway.store.locks import one_at_a_time
from gateway.store.tables import numbers

#: Ids that are taken from the database at once, so that most messages cost no transaction of their own for it. Those
#: that are left when the gateway stops are never used.
_BLOCK = 500


def take_numbers(connection: Connection, account: str, count: int) -> int:
    """Take so many ids in a transaction of the writer; returns the first. Raises ``StoreUnavailable`` at the end."""
    one_at_a_time(connection, f"{account}#")
    taken = update(numbers).where(numbers.c.account == account).values(last=numbers.c.last + count)
    if connection.execute(taken).rowcount == 0:
        connection.execute(insert(numbers).values(account=account, last=count))
    last: int = connection.execute(select(numbers.c.last).where(numbers.c.account == account)).scalar_one()
    if last > LARGEST_NUMBER:
        raise StoreUnavailable("an account has no integer ids left")
    return last - count + 1


class Numbers:
    """Integer ids for whoever needs them. Use from one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._blocks: dict[str, range] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, account: str, count: int = 1) -> int:
        """The first of so many ids in a row. Raises ``StoreUnavailable``."""
        if count >= _BLOCK:
            return await self._database.writer.run(lambda connection: take_numbers(connection, account, count))
        async with self._locks[account]:
            block = self._blocks.get(account, range(0))
            if len(block) < count:
                first = await self._database.writer.run(lambda connection: take_numbers(connection, account, _BLOCK))
                block = range(first, first + _BLOCK)
            self._blocks[account] = block[count:]
            return block[0]
