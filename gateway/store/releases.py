"""What goes out later than it was asked for.

Mailings that are confirmed and due, messages instead of others, and the word that a bulk request has come to its end.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from gateway.core.lifecycle import Status
from gateway.core.mailings import MailingState
from gateway.core.messages import State
from gateway.mapping.callbacks import Facts
from gateway.store.callbacks import Script, callback_row, insert_callbacks
from gateway.store.database import Database
from gateway.store.mailings import CHUNK
from gateway.store.tables import bulks, mailings, messages

_DELIVERED = (Status.DELIVERED.value, Status.SEEN.value)
_FOLLOWS = (messages.c.follows.is_not(None), messages.c.state == State.PLANNED.value)
_IS_CONFIRMED = mailings.c.state == MailingState.CONFIRMED.value
_first = messages.alias("first")


@dataclass(frozen=True, slots=True)
class Release:
    """A mailing that is to go out; ``ttl`` is how many seconds each of its messages has."""

    account: str
    number: int
    smsbat: str
    ttl: int


class ReleaseStore:
    """Every method raises ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, now: int) -> list[Release]:
        """Mailings that are confirmed and due."""
        return await self._database.read(self._due, now)

    async def next_due(self) -> int | None:
        """When the first of what waits is due; ``None`` when nothing waits."""
        return await self._database.read(self._next_due)

    async def release(self, mailing: Release, now: int) -> int:
        """Let some messages of a mailing go out; returns how many. After the last ones it is released as a whole."""

        def work(connection: Connection) -> int:
            planned = (
                select(messages.c.id)
                .where(messages.c.account == mailing.account, messages.c.batch == mailing.number)
                .where(messages.c.state == State.PLANNED.value)
                .limit(CHUNK)
            )
            fresh = {"state": State.ACCEPTED.value, "due_at": now, "expires_at": now + mailing.ttl * 1000}
            count = connection.execute(update(messages).where(messages.c.id.in_(planned)).values(**fresh)).rowcount
            if count < CHUNK:
                here = (mailings.c.account == mailing.account, mailings.c.number == mailing.number)
                connection.execute(update(mailings).where(*here).values(state=MailingState.RELEASED.value))
            return count

        return await self._database.writer.run(work)

    async def follow(self, now: int) -> set[str]:
        """Send what was to follow messages that were not delivered by now; returns the SMSBAT logins concerned."""
        if not await self._database.read(self._are_due, now):
            return set()
        return await self._database.writer.run(lambda connection: _follow(connection, now))

    async def drop(self, ids: list[str]) -> None:
        """Messages that are not to follow any more: the client was told that the first ones were refused."""
        gone = update(messages).where(messages.c.id.in_(ids), messages.c.state == State.PLANNED.value)
        await self._database.writer.run(lambda connection: connection.execute(gone.values(state=State.WITHDRAWN.value)))

    async def tell_ended(self, now: int) -> tuple[set[Script], bool]:
        """Owe the word on bulk requests that have come to their end; returns to whom, and whether others are open."""
        ended, open_ones = await self._database.read(self._ended)
        if not ended:
            return set(), open_ones
        return await self._database.writer.run(lambda connection: _owe(connection, ended, now)), open_ones

    def _due(self, now: int) -> list[Release]:
        is_due = or_(mailings.c.due_at.is_(None), mailings.c.due_at <= now)
        columns = (mailings.c.account, mailings.c.number, mailings.c.smsbat, mailings.c.ttl)
        with self._database.engine.connect() as connection:
            return [Release(*row) for row in connection.execute(select(*columns).where(_IS_CONFIRMED, is_due))]

    def _next_due(self) -> int | None:
        with self._database.engine.connect() as connection:
            mailing = connection.scalar(select(func.min(func.coalesce(mailings.c.due_at, 0))).where(_IS_CONFIRMED))
            follow_up = connection.scalar(select(func.min(messages.c.due_at)).where(*_FOLLOWS))
        return min((each for each in (mailing, follow_up) if each is not None), default=None)

    def _are_due(self, now: int) -> bool:
        query = select(messages.c.id).where(*_FOLLOWS, messages.c.due_at <= now).limit(1)
        with self._database.engine.connect() as connection:
            return connection.execute(query).first() is not None

    def _ended(self) -> tuple[list[str], bool]:
        with self._database.engine.connect() as connection:
            waiting = list(connection.scalars(select(bulks.c.id).where(bulks.c.url.is_not(None))))
            ended = [bulk for bulk in waiting if not _is_open(connection, bulk)]
        return ended, len(ended) < len(waiting)


def _is_open(connection: Connection, bulk: str) -> bool:
    """Whether one of a request's mailings, or one of their messages, has not come to its end."""
    of_bulk = mailings.c.bulk == bulk
    if connection.execute(select(mailings.c.number).where(of_bulk, _IS_CONFIRMED).limit(1)).first() is not None:
        return True
    of_mailing: ColumnElement[bool] = (messages.c.account == mailings.c.account) & (
        messages.c.batch == mailings.c.number
    )
    query = select(messages.c.id).select_from(mailings).join(messages, of_mailing)
    return connection.execute(query.where(of_bulk, messages.c.final_at.is_(None)).limit(1)).first() is not None


def _owe(connection: Connection, ended: list[str], now: int) -> set[Script]:
    rows = connection.execute(select(bulks).where(bulks.c.id.in_(ended), bulks.c.url.is_not(None))).all()
    told = [callback_row(Facts("bulk", row.id), row.account, row.dialect, now, row.url) for row in rows]
    insert_callbacks(connection, told)
    connection.execute(update(bulks).where(bulks.c.id.in_(ended)).values(url=None))
    return {Script(row.account, row.dialect, by_request=True) for row in rows}


def _follow(connection: Connection, now: int) -> set[str]:
    """Those whose first message was delivered, or taken back, are not needed."""
    query = (
        select(messages.c.id, messages.c.smsbat, _first.c.status, _first.c.state)
        .outerjoin(_first, _first.c.id == messages.c.follows)
        .where(*_FOLLOWS, messages.c.due_at <= now)
        .limit(CHUNK)
    )
    rows = connection.execute(query).all()
    unneeded = [row.id for row in rows if row.status in _DELIVERED or row.state == State.WITHDRAWN.value]
    needed = [row.id for row in rows if row.id not in set(unneeded)]
    for ids, state in ((unneeded, State.WITHDRAWN), (needed, State.ACCEPTED)):
        if ids:
            connection.execute(update(messages).where(messages.c.id.in_(ids)).values(state=state.value))
    return {row.smsbat for row in rows if row.id in set(needed)}
