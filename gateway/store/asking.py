"""What clients ask of what they sent: one message, all of a mailing, replies.

Who asks is told the end of a message only after it was seen as sent once, so that asking writes down when that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from gateway.core.lifecycle import Status, stage
from gateway.core.messages import State
from gateway.store.database import Database
from gateway.store.tables import mailings, messages, records, replies

_NEVER_LEFT = (State.REFUSED.value, State.EXPIRED.value, State.WITHDRAWN.value)
_OUT = (State.SUBMITTED.value, State.UNPAIRED.value)
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
)
Known = dict[str, Any]
#: Later than every moment.
_ALWAYS = 1 << 62


class AskingStore:
    """Every method raises ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def message(self, account: str, number: int, now: int) -> Known | None:
        """What became of one message; ``None`` when the account has none of this number."""
        row = await self._database.read(self._message, account, number)
        if row is None:
            return None
        if _is_news(row.final_at, row.asked_at):
            await self._asked(update(messages).where(messages.c.id == row.id).values(asked_at=now))
        return _told(row, row.asked_at)

    async def batch(
        self, account: str, number: int, offset: int, limit: int | None, now: int | None
    ) -> list[Known] | None:
        """What became of the messages of a mailing or text, oldest first; ``None`` when there is no such thing.

        Without ``now`` nobody asks: it is told as it is.
        """
        asked_at, rows = await self._database.read(self._batch, account, number, offset, limit)
        if asked_at is None:
            return None
        if now is None:
            return [_told(row, _ALWAYS) for row in rows]
        if any(_is_news(row.final_at, asked_at) for row in rows):
            for table in (mailings, records):
                here = (table.c.account == account, table.c.number == number)
                await self._asked(update(table).where(*here).values(asked_at=now))
        return [_told(row, max(asked_at, row.asked_at or 0)) for row in rows]

    async def replies(self, account: str, batch: int) -> list[Known] | None:
        """Replies to a mailing or message that are not marked as read; ``None`` when there is no such thing."""
        found = await self._database.read(self._replies, account, batch)
        if found:
            return found
        known = await self._database.read(self._batch_asked_at, account, batch) is not None
        known = known or await self._database.read(self._message, account, batch) is not None
        return [] if known else None

    async def mark_read(self, account: str, numbers: Sequence[int], now: int) -> int:
        """Mark replies as read; returns how many were not."""

        def work(connection: Connection) -> int:
            unread = (replies.c.account == account, replies.c.number.in_(numbers), replies.c.read_at.is_(None))
            return connection.execute(update(replies).where(*unread).values(read_at=now)).rowcount

        return await self._database.writer.run(work)

    async def _asked(self, statement: Any) -> None:
        await self._database.writer.run(lambda connection: connection.execute(statement))

    def _message(self, account: str, number: int) -> Row[Any] | None:
        here = (messages.c.account == account, messages.c.number == number)
        with self._database.engine.connect() as connection:
            row: Row[Any] | None = connection.execute(select(*_COLUMNS).where(*here)).first()  # type: ignore[assignment]
            return row

    def _batch(
        self, account: str, number: int, offset: int, limit: int | None
    ) -> tuple[int | None, Sequence[Row[Any]]]:
        asked_at = self._batch_asked_at(account, number)
        if asked_at is None:
            return None, []
        query: Select[Any] = select(*_COLUMNS).where(messages.c.account == account, messages.c.batch == number)
        query = query.order_by(messages.c.number).offset(offset).limit(limit)
        with self._database.engine.connect() as connection:
            return asked_at, connection.execute(query).all()

    def _batch_asked_at(self, account: str, number: int) -> int | None:
        """When its messages were asked for last, 0 for never; ``None`` when the account has nothing of this number."""
        with self._database.engine.connect() as connection:
            for table in (mailings, records):
                here = (table.c.account == account, table.c.number == number)
                row = connection.execute(select(table.c.asked_at).where(*here)).first()
                if row is not None:
                    return row.asked_at or 0
        return None

    def _replies(self, account: str, batch: int) -> list[Known]:
        query = select(replies).where(replies.c.account == account, replies.c.batch == batch)
        query = query.where(replies.c.read_at.is_(None)).order_by(replies.c.number)
        with self._database.engine.connect() as connection:
            return [
                {"number": row.number, "phone": row.digits, "text": row.text or row.media or "", "at": row.at}
                for row in connection.execute(query)
            ]


def _is_news(final_at: int | None, asked_at: int | None) -> bool:
    return final_at is not None and (asked_at is None or asked_at < final_at)


def _told(row: Row[Any], asked_at: int | None) -> Known:
    """A message in the words that dialect files use."""
    status = Status(row.status) if row.status else None
    shown = stage(status, row.final_at, asked_at)
    went_out = row.state in _OUT
    told_end = shown not in ("new", "sent")
    return {
        "number": row.number,
        "phone": row.digits or row.recipient,
        "stage": shown.value,
        "sent_at": row.settled_at if went_out and shown != "new" else None,
        "delivered_at": row.final_at if shown in ("delivered", "read") else None,
        "changed_at": (row.status_at if told_end or not row.final_at else None) or row.settled_at or row.accepted_at,
    }
