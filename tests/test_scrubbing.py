"""Codes that were struck out are gone from the database's files, not only from its tables."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from gateway.core.messages import Content, Message, Otp, Outcome, Receipt
from gateway.store.database import opened
from gateway.store.engine import open_engine
from gateway.store.messages import MessageStore
from gateway.store.scrubbing import begin_log_anew
from gateway.store.settled import Settled
from tests.support.stores import NOW, message

CODE = "Code-4711-0815"
OTP = Otp("template", "en", {"pin": CODE, "business_platform_name": "Shop"})


def with_codes() -> list[Message]:
    """Messages that hold one, among others."""
    contents = (
        Content(f"Your code is {CODE}", secret=CODE),
        Content(f"Your code is {CODE}", fallback_text=f"It is {CODE}", otp=OTP),
        Content("no code"),
    )
    return [message(number)._replace(content=contents[number % 3]) for number in range(3000)]


async def sent_and_settled(store: MessageStore, messages: list[Message]) -> None:
    await store.accept(messages, "main")
    await store.settle([Settled.by(each, Receipt(Outcome.ACCEPTED, upstream_id=each.id)) for each in messages], NOW)


def times_on_disk(folder: Path) -> int:
    return sum(file.read_bytes().count(CODE.encode()) for file in folder.glob("gateway.db*"))


def test_a_new_log_holds_no_code_nor_does_the_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(open_engine(f"sqlite:///{tmp_path / 'gateway.db'}")) as database:
            await sent_and_settled(MessageStore(database), with_codes())
            assert times_on_disk(tmp_path) > 0
            assert await database.read(begin_log_anew, database.engine)
            assert times_on_disk(tmp_path) == 0
            assert (tmp_path / "gateway.db-wal").stat().st_size == 0
            await MessageStore(database).accept([message(9000)], "main")

    asyncio.run(scenario())


def test_a_reader_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody can write meanwhile: who reads for long must not stop the gateway."""

    async def scenario() -> None:
        async with opened(open_engine(f"sqlite:///{tmp_path / 'gateway.db'}")) as database:
            store = MessageStore(database)
            await store.accept([message(1)], "main")
            reader = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM messages").fetchone()
            await store.accept([message(2)], "main")
            assert not await database.read(begin_log_anew, database.engine)
            await store.accept([message(3)], "main")
            reader.execute("ROLLBACK")
            reader.close()
            assert await database.read(begin_log_anew, database.engine)

    asyncio.run(scenario())


def test_what_is_struck_out() -> None:
    struck = Content(f"Your code is {CODE}", fallback_text=CODE, otp=OTP).struck_out
    kept = Otp("template", "en", {"pin": "…", "business_platform_name": "Shop"})
    assert struck == Content("Your code is …", otp=kept)
    assert Content("hello").code is None
    assert Content(None, otp=Otp("template", "en", {"pin": 42})).code == "42"
