"""A store on a real SQLite file, used directly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy import Engine

from gateway.core.messages import Content, Message
from gateway.store.database import opened
from gateway.store.messages import MessageStore

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


def run(engine: Engine, scenario: Callable[[MessageStore], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with opened(engine) as database:
            await scenario(MessageStore(database))

    asyncio.run(whole())


def message(number: int) -> Message:
    return MESSAGE._replace(id=f"id-{number:05d}")
