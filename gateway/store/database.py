"""A database as the queries see it: the group-commit writer, and reading beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import StoreUnavailable
from gateway.store.migrations import migrate
from gateway.store.trouble import named
from gateway.store.writer import GroupCommitWriter

Found = TypeVar("Found")
#: Threads of their own: those that everything shares may all wait for some partner's name server.
_READERS = ThreadPoolExecutor(4, "store-reader")


@dataclass(frozen=True, slots=True)
class Database:
    """An open database."""

    engine: Engine
    writer: GroupCommitWriter

    async def read(self, query: Callable[..., Found], *arguments: Any) -> Found:
        """Run a reading function in a thread. Raises ``StoreUnavailable``."""
        try:
            return await asyncio.get_running_loop().run_in_executor(_READERS, partial(query, *arguments))
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable(f"not read: {named(error)}") from error


@contextlib.asynccontextmanager
async def opened(engine: Engine) -> AsyncIterator[Database]:
    """A database while the block runs, brought to its present shape; what waits to be written is written at its end."""
    await asyncio.to_thread(migrate, engine)
    async with as_it_is(engine) as database:
        yield database


@contextlib.asynccontextmanager
async def as_it_is(engine: Engine) -> AsyncIterator[Database]:
    """The same for one that has its present shape: nothing is changed about it."""
    writer = GroupCommitWriter(engine)
    try:
        yield Database(engine, writer)
    finally:
        await writer.close()
        engine.dispose()
