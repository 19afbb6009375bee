"""What goes out later than it was asked for.

Mailings that are confirmed and due, messages instead of others, and the word that a bulk request has come to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, literal, or_, select, update

from gateway.core.lifecycle import Status
from gateway.core.mailings import MailingState
from gateway.core.messages import State
from gateway.mapping.accounts import Account
from gateway.mapping.callbacks import Facts
from gateway.store.admission import room_at_rate, take_from_rate
from gateway.store.callbacks import Script, callback_row, insert_callbacks
from gateway.store.database import Database
from gateway.store.locks import one_at_a_time
from gateway.store.mailings import CHUNK
from gateway.store.media import extend_picture
from gateway.store.reports import Check, check_columns, check_of
from gateway.store.tables import bulks, is_mailing, mailings, messages

_DELIVERED = (Status.DELIVERED.value, Status.SEEN.value)
#: Written out, not bound: a partial index serves only a query whose condition the database can see.
_IS_PLANNED = messages.c.state == literal(State.PLANNED.value, literal_execute=True)
_FOLLOWS = (messages.c.follows.is_not(None), _IS_PLANNED)
_IS_CONFIRMED = mailings.c.state == literal(MailingState.CONFIRMED.value, literal_execute=True)
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

    def __init__(self, database: Database, accounts: Mapping[str, Account]) -> None:
        self._database = database
        self._accounts = accounts

    async def due(self, now: int) -> list[Release]:
        """Mailings that are confirmed and due."""
        return await self._database.read(self._due, now)

    async def next_due(self, now: int) -> int | None:
        """When the first of what waits until after ``now`` is due; ``None`` when nothing does."""
        return await self._database.read(self._next_due, now)

    async def release(self, mailing: Release, now: int) -> int:
        """Let some messages of a mailing go out, as fast as its account may send; returns how many.

        After the last ones it is released as a whole.
        """
        rate = self._accounts[mailing.account].rate if mailing.account in self._accounts else None

        def work(connection: Connection) -> int:
            one_at_a_time(connection, f"{mailing.account}#{mailing.number}")
            room = room_at_rate(connection, mailing.account, rate, now, CHUNK) if rate else CHUNK
            if room == 0:
                return 0
            of_it = (messages.c.account == mailing.account, messages.c.batch == mailing.number)
            planned = select(messages.c.id).where(*of_it, messages.c.batch.is_not(None), _IS_PLANNED)
            planned = planned.order_by(messages.c.number).limit(room)
            fresh = {"state": State.ACCEPTED.value, "due_at": now, "expires_at": now + mailing.ttl * 1000}
            still = (messages.c.id.in_(planned), messages.c.state == State.PLANNED.value)
            count = connection.execute(update(messages).where(*still).values(**fresh)).rowcount
            if rate and count:
                take_from_rate(connection, mailing.account, rate, now, count)
            if count < room:
                _released(connection, mailing, now)
            return count

        return await self._database.writer.run(work)

    async def firsts(self, now: int) -> dict[str, list[Check]]:
        """Messages whose end is not known and which others are to follow by now, by SMSBAT login."""
        return await self._database.read(self._firsts, now)

    async def follow(self, now: int) -> tuple[dict[str, int], bool]:
        """Send what was to follow messages that were not delivered by now; returns how many, by SMSBAT login.

        And whether there may be more that is due.
        """
        if not await self._database.read(self._are_due, now):
            return {}, False
        return await self._database.writer.run(lambda connection: _follow(connection, now))

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

    def _next_due(self, now: int) -> int | None:
        with self._database.engine.connect() as connection:
            mailing = connection.scalar(
                select(func.min(mailings.c.due_at)).where(_IS_CONFIRMED, mailings.c.due_at > now)
            )
            later = (*_FOLLOWS, messages.c.due_at > now)
            follow_up = connection.scalar(select(func.min(messages.c.due_at)).where(*later))
        return min((each for each in (mailing, follow_up) if each is not None), default=None)

    def _are_due(self, now: int) -> bool:
        query = select(messages.c.id).where(*_FOLLOWS, messages.c.due_at <= now).limit(1)
        with self._database.engine.connect() as connection:
            return connection.execute(query).first() is not None

    def _firsts(self, now: int) -> dict[str, list[Check]]:
        query = (
            select(_first.c.smsbat, *check_columns(_first))
            .join(messages, messages.c.follows == _first.c.id)
            .where(*_FOLLOWS, messages.c.due_at <= now)
            .where(_first.c.upstream_id.is_not(None), _first.c.final_at.is_(None))
            .order_by(messages.c.due_at)
            .limit(CHUNK)
        )
        found: dict[str, list[Check]] = {}
        with self._database.engine.connect() as connection:
            for row in connection.execute(query):
                found.setdefault(row.smsbat, []).append(check_of(row))
        return found

    def _ended(self) -> tuple[list[str], bool]:
        with self._database.engine.connect() as connection:
            waiting = list(connection.scalars(select(bulks.c.id).where(bulks.c.url.is_not(None))))
            ended = [bulk for bulk in waiting if not _is_open(connection, bulk)]
        return ended, len(ended) < len(waiting)


def _released(connection: Connection, mailing: Release, now: int) -> None:
    here = is_mailing(mailing.account, mailing.number)
    connection.execute(update(mailings).where(here).values(state=MailingState.RELEASED.value))
    picture = connection.execute(select(mailings.c.picture).where(here)).scalar()
    extend_picture(connection, picture, mailing.account, now + mailing.ttl * 1000)


def _is_open(connection: Connection, bulk: str) -> bool:
    """Whether one of a request's mailings, or one of their messages, has not come to its end."""
    of_bulk = mailings.c.bulk == bulk
    if connection.execute(select(mailings.c.number).where(of_bulk, _IS_CONFIRMED).limit(1)).first() is not None:
        return True
    of_mailing: ColumnElement[bool] = (messages.c.account == mailings.c.account) & (
        messages.c.batch == mailings.c.number
    )
    query = select(messages.c.id).select_from(mailings).join(messages, of_mailing)
    is_open = (of_bulk, messages.c.batch.is_not(None), messages.c.final_at.is_(None))
    return connection.execute(query.where(*is_open).limit(1)).first() is not None


def _owe(connection: Connection, ended: list[str], now: int) -> set[Script]:
    untold = select(bulks).where(bulks.c.id.in_(ended), bulks.c.url.is_not(None))
    rows = connection.execute(untold.with_for_update()).all()
    told = [callback_row(Facts("bulk", row.id), row.account, row.dialect, now, row.url) for row in rows]
    insert_callbacks(connection, told)
    connection.execute(update(bulks).where(bulks.c.id.in_(ended)).values(url=None))
    return {Script(row.account, row.dialect, by_request=True) for row in rows}


def _follow(connection: Connection, now: int) -> tuple[dict[str, int], bool]:
    """Those whose first message was delivered are not needed; while that has not left, nothing follows it."""
    query = (
        select(messages.c.id, messages.c.smsbat, _first.c.status, _first.c.state)
        .outerjoin(_first, _first.c.id == messages.c.follows)
        .where(*_FOLLOWS, messages.c.due_at <= now)
        .where(or_(_first.c.state.is_(None), _first.c.state != State.ACCEPTED.value))
        .order_by(messages.c.due_at)
        .limit(CHUNK)
    )
    needed: dict[str, int] = {}
    still_planned = messages.c.state == State.PLANNED.value
    by_state: dict[State, list[str]] = {State.WITHDRAWN: [], State.ACCEPTED: []}
    one_at_a_time(connection, "follow-ups")
    rows = connection.execute(query).all()
    for row in rows:
        is_needed = row.status not in _DELIVERED and row.state != State.WITHDRAWN.value
        by_state[State.ACCEPTED if is_needed else State.WITHDRAWN].append(row.id)
        if is_needed:
            needed[row.smsbat] = needed.get(row.smsbat, 0) + 1
    for state, ids in by_state.items():
        if ids:
            connection.execute(update(messages).where(messages.c.id.in_(ids), still_planned).values(state=state.value))
    return needed, len(rows) == CHUNK
