"""A store on a real SQLite file, used directly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine

from gateway.core.messages import Content, Message
from gateway.store.database import Database
from gateway.store.messages import MessageStore
from gateway.store.writer import GroupCommitWriter

MESSAGE = Message(
    id="id-1",
    submission="s-1",
    position=0,
    account="shop",
    dialect="messagio",
    channel="viber",
    sender="Shop",
    recipient="380501234567",
    digits="380501234567",
    content=Content("Привет\n😀", button_text="Ж", button_link="https://x", fallback_text="sms"),
    ttl=3600,
    reference="order/7",
    report=True,
    accepted_at=1_700_000_000_000,
    due_at=1_700_000_000_000,
)


NOW = MESSAGE.accepted_at


@asynccontextmanager
async def opened(engine: Engine) -> AsyncIterator[MessageStore]:
    writer = GroupCommitWriter(engine)
    yield MessageStore(Database(engine, writer))
    await writer.close()
    engine.dispose()


def run(engine: Engine, scenario: Callable[[MessageStore], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with opened(engine) as store:
            await scenario(store)

    asyncio.run(whole())


def message(number: int) -> Message:
    return replace(MESSAGE, id=f"id-{number:05d}")
