"""What clients ask of what they sent: one message, all of a mailing, replies.

Who asks is told the end of a message only after it was seen as sent once, so that asking writes down that it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Executable, Row, Select, or_, select, update

from gateway.core.lifecycle import Status, stage
from gateway.store.chunks import chunks
from gateway.store.database import Database
from gateway.store.settled import WENT_OUT
from gateway.store.tables import is_mailing, mailings, messages, records, replies

#: Milliseconds after which a message that SMSBAT took is on its way, when it is not asked about it.
_SOON = 5_000
_COLUMNS = (
    messages.c.id,
    messages.c.number,
    messages.c.digits,
    messages.c.recipient,
    messages.c.state,
    messages.c.status,
    messages.c.status_at,
    messages.c.final_at,
    messages.c.asked_at,
    messages.c.settled_at,
    messages.c.accepted_at,
    messages.c.check_at,
    messages.c.watch_until,
)
#: By channel, the texts that messages are made of.
_TEXTS = {"sms": "text", "viber": "viber_text"}
Known = dict[str, Any]


class AskingStore:
    """Every method raises ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def message(self, account: str, number: int, now: int) -> Known | None:
        """What became of one message; ``None`` when the account has none of this number."""
        row = await self._database.read(self._message, account, number)
        if row is None:
            return None
        await self._asked([row], now)
        return _told(row, row.asked_at is not None, now)

    async def batch(
        self, account: str, number: int, channel: str, offset: int, limit: int | None, now: int
    ) -> list[Known] | None:
        """What became of the messages of a mailing or text, oldest first; ``None`` when there is no such thing."""
        if not await self._database.read(self._has, account, number, channel):
            return None
        rows = await self._database.read(self._batch, account, number, offset, limit)
        await self._asked(rows, now)
        return [_told(row, row.asked_at is not None, now) for row in rows]

    async def ended(self, account: str, number: int, now: int) -> list[Known]:
        """What became of the messages of a mailing, as it is, for who is told without asking."""
        return [_told(row, True, now) for row in await self._database.read(self._batch, account, number, 0, None)]

    async def replies(self, account: str, number: int) -> list[Known] | None:
        """Replies to a mailing or message that are not marked as read; ``None`` when there is no such thing."""
        found = await self._database.read(self._replies, account, number)
        is_message = await self._database.read(self._message, account, number) is not None
        has = [await self._database.read(self._has, account, number, channel) for channel in _TEXTS]
        return found if is_message or any(has) else None

    async def mark_read(self, account: str, numbers: Sequence[int], now: int) -> int:
        """Mark replies as read; returns how many were not."""

        def work(connection: Connection) -> int:
            unread = (replies.c.account == account, replies.c.number.in_(numbers), replies.c.read_at.is_(None))
            return connection.execute(update(replies).where(*unread).values(read_at=now)).rowcount

        return await self._database.writer.run(work)

    async def _asked(self, rows: Sequence[Row[Any]], now: int) -> None:
        """Write down that those whose end is known were seen as sent."""
        for some in chunks(row.id for row in rows if row.final_at is not None and row.asked_at is None):
            seen = update(messages).where(messages.c.id.in_(some)).values(asked_at=now)
            await self._database.writer.run(partial(_execute, seen))

    def _message(self, account: str, number: int) -> Row[Any] | None:
        here = (messages.c.account == account, messages.c.number == number)
        with self._database.engine.connect() as connection:
            row: Row[Any] | None = connection.execute(select(*_COLUMNS).where(*here)).first()  # type: ignore[assignment]
            return row

    def _has(self, account: str, number: int, channel: str) -> bool:
        """Whether there is a mailing on this channel, or a text for it, of this number."""
        mailing = (is_mailing(account, number), mailings.c.channel == channel)
        text = (records.c.account == account, records.c.number == number, records.c.kind == _TEXTS[channel])
        with self._database.engine.connect() as connection:
            found = (connection.execute(select(1).where(*here)).first() for here in (mailing, text))
            return any(row is not None for row in found)

    def _batch(self, account: str, number: int, offset: int, limit: int | None) -> Sequence[Row[Any]]:
        query: Select[Any] = select(*_COLUMNS).where(messages.c.account == account, messages.c.batch == number)
        query = query.order_by(messages.c.number).offset(offset).limit(limit)
        with self._database.engine.connect() as connection:
            return connection.execute(query).all()

    def _replies(self, account: str, number: int) -> list[Known]:
        of_message = select(messages.c.id).where(messages.c.account == account, messages.c.number == number)
        is_answer = or_(replies.c.batch == number, replies.c.message.in_(of_message))
        query = select(replies).where(replies.c.account == account, replies.c.batch.is_not(None), is_answer)
        query = query.where(replies.c.read_at.is_(None)).order_by(replies.c.number)
        with self._database.engine.connect() as connection:
            return [
                {"number": row.number, "phone": row.digits, "text": row.text or row.media or "", "at": row.at}
                for row in connection.execute(query)
            ]


def _execute(statement: Executable, connection: Connection) -> None:
    connection.execute(statement)


def _on_its_way(row: Row[Any], now: int) -> bool:
    """Whether SMSBAT took it a while ago, and is not asked about it before its time is over."""
    is_asked = row.check_at is not None and row.watch_until is not None and row.check_at < row.watch_until
    return row.state in WENT_OUT and row.settled_at + _SOON <= now and not is_asked


def _told(row: Row[Any], told: bool, now: int) -> Known:
    """A message in the words that dialect files use."""
    shown = stage(Status(row.status) if row.status else None, row.final_at is not None, told, _on_its_way(row, now))
    told_end = shown not in ("new", "sent")
    return {
        "number": row.number,
        "phone": row.digits or row.recipient,
        "stage": shown.value,
        "sent_at": min(row.settled_at, row.final_at or now) if row.state in WENT_OUT and shown != "new" else None,
        "delivered_at": row.final_at if shown in ("delivered", "read") else None,
        "changed_at": (row.status_at if told_end or not row.final_at else None) or row.settled_at or row.accepted_at,
    }
