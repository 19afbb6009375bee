"""The same with a row for each message: SQLAlchemy's ORM on SQLite, committed before the call, updated behind it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.side_by_side.rivals.common import (
    accepted,
    call,
    httpx_client,
    is_signed,
    new_id,
    receipt_of,
    refused,
    serve,
)


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "messages"

    id: Mapped[str] = mapped_column(primary_key=True)
    sender: Mapped[str]
    phone: Mapped[str]
    text: Mapped[str]
    state: Mapped[str]
    upstream_id: Mapped[str | None]


def _engine(file: str) -> AsyncEngine:
    """As durable as the gateway: write-ahead log, every commit on disk."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}", connect_args={"timeout": 30})

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def build(smsbat: str, file: str) -> Starlette:
    """The application in front of an SMSBAT, with its database."""
    client, engine = httpx_client(smsbat), _engine(file)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @contextlib.asynccontextmanager
    async def prepared(_app: Starlette) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    async def send(request: Request) -> Response:
        return Response(await answer(request), media_type="text/xml")

    async def answer(request: Request) -> str:
        form = await request.form()
        if not is_signed(form):
            return refused(-2, "AUTH ERROR (sign)")
        sender, phone, text = (str(form[name]) for name in ("from", "phone", "txt"))
        message = Message(id=new_id(), sender=sender, phone=phone, text=text, state="accepted")
        async with sessions() as session:
            session.add(message)
            await session.commit()
        try:
            told = await client.post("/bat/messagelist", json=call(form, message.id))
            message.upstream_id = receipt_of(told.status_code, told.json())
        except httpx.HTTPError:
            message.upstream_id = None
        message.state = "submitted" if message.upstream_id else "failed"
        async with sessions() as session:
            await session.merge(message)
            await session.commit()
        return accepted(form, message.id) if message.upstream_id else refused(-4, "TEMPORARY ERROR")

    return Starlette(routes=[Route("/", send, methods=["POST"])], lifespan=prepared)


if __name__ == "__main__":
    serve(build(sys.argv[2], sys.argv[3]))
