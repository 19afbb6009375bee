"""Everything that is asked of the database, in the words of the domain."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from gateway.core.lifecycle import Report
from gateway.core.messages import ACCEPTED, Message, Receipt, State
from gateway.points import Point, reach
from gateway.store.admission import NO_TERMS, Admission, Terms
from gateway.store.bulk import write_rows
from gateway.store.chunks import chunks
from gateway.store.contents import content_of, written
from gateway.store.database import Database
from gateway.store.nodes import ALONE, Share
from gateway.store.reports import Applied, ReportStore
from gateway.store.settled import IS_UNSETTLED, Settled, receipt_of, statements
from gateway.store.tables import messages, nodes
from gateway.store.writer import Told

log = structlog.get_logger("gateway.store")

_INSERT = insert(messages)


_NOT_FOLLOWED = (
    update(messages)
    .where(messages.c.follows == bindparam("_first"), messages.c.state == State.PLANNED.value)
    .values(state=State.WITHDRAWN.value)
)

#: What a withdrawal changed, undone.
_REINSTATE = (
    update(messages)
    .where(messages.c.id == bindparam("_id"), messages.c.state == State.WITHDRAWN.value)
    .values(state=State.ACCEPTED.value, final_at=None, settled_at=None, content=bindparam("_content"))
)
_FOLLOWED_AGAIN = (
    update(messages)
    .where(messages.c.follows == bindparam("_first"), messages.c.state == State.WITHDRAWN.value)
    .values(state=State.PLANNED.value)
)

#: Seconds that the end of messages which went out may wait for new ones to be written with: nobody waits for it.
_SETTLE_PATIENCE = 0.01


@dataclass(frozen=True, slots=True)
class Reading:
    """Messages still to be submitted; ``exhausted`` when the database has no more of them than these.

    ``taken_over`` are those of them that a node had which is gone: they may have been in a call.
    """

    messages: list[Message]
    exhausted: bool
    taken_over: frozenset[str] = frozenset()


class MessageStore:
    """Messages on disk.

    Writing methods return when the rows are durable and raise ``StoreUnavailable``; ``put`` tells of both instead.
    """

    def __init__(self, database: Database, share: Share = ALONE) -> None:
        self._database = database
        self._engine = database.engine
        self._writer = database.writer
        self._share = share
        #: Messages taken over that no reading has brought yet; noted before the commit, whose answer may be lost.
        self._unread: set[str] = set()

    async def accept(
        self,
        submission: Sequence[Message],
        smsbat: str,
        terms: Terms = NO_TERMS,
        follow_ups: Sequence[Message] = (),
    ) -> list[str] | None:
        """Store the messages of a submission, to be submitted under an SMSBAT login, and those that may follow them.

        Returns for each the id of the message that it is, which is another's when it repeats that. ``None`` when the
        account is over its rate: nothing is stored then.
        """
        rows, planned = self._rows(submission, smsbat), _planned(follow_ups, smsbat)
        if terms:
            return await self._writer.run(Admission(submission, rows, _INSERT, terms, planned))
        await self._writer.write(_INSERT, [*rows, *planned])
        return [message.id for message in submission]

    def put(self, submission: Sequence[Message], smsbat: str, follow_ups: Sequence[Message], told: Told) -> None:
        """The same without terms; ``told`` is called when the rows are durable, or with why they are not."""
        rows = self._rows(submission, smsbat)
        self._writer.put(_INSERT, rows + _planned(follow_ups, smsbat) if follow_ups else rows, told)

    def _rows(self, submission: Sequence[Message], smsbat: str) -> list[dict[str, Any]]:
        return [message_row(message, smsbat, node=self._share.id) for message in submission]

    async def settle(self, settled: Collection[Settled], now: int) -> None:
        """Store where messages ended; those that ended before stay as they are.

        Of those that did not go out their clients are told: nothing follows them then.
        """
        refused = [{"_first": each.id} for each in settled if not each.went_out]
        if not refused:
            await self._write_settled(settled, now)
            return

        def work(connection: Connection) -> None:
            _settle_in(connection, settled, now)
            connection.execute(_NOT_FOLLOWED, refused)

        await self._writer.run(work)

    async def reinstate(self, withdrawn: Collection[Message]) -> None:
        """They are to be submitted after all, if they were withdrawn."""
        rows = [{"_id": each.id, "_content": written(each.content)} for each in withdrawn]
        firsts = [{"_first": each.id} for each in withdrawn]

        def work(connection: Connection) -> None:
            connection.execute(_REINSTATE, rows)
            connection.execute(_FOLLOWED_AGAIN, firsts)

        await self._writer.run(work)

    async def _write_settled(self, settled: Collection[Settled], now: int) -> None:
        # One alone may be of many that go one after the other.
        patience = _SETTLE_PATIENCE if len(settled) > 1 else 0.0
        writes = [self._writer.write(statement, rows, patience) for statement, rows in statements(settled, now)]
        await asyncio.gather(*writes)

    async def settle_failed(self, settled: Collection[Settled], now: int, reports: ReportStore) -> Applied:
        """The same for accepted messages that did not go out, with the reports that are owed for it."""

        def work(connection: Connection) -> Applied:
            # Another node may have settled one of them meanwhile: whoever is first, tells its end.
            still = select(messages.c.id).where(messages.c.id.in_([each.id for each in settled]), IS_UNSETTLED)
            own = frozenset(connection.scalars(still.with_for_update()))
            _settle_in(connection, settled, now)
            failures = [Report(each.failure, now, id=each.id) for each in settled if each.failure and each.id in own]
            return reports.apply_in(connection, failures)

        return await self._writer.run(work)

    async def unsettled(self, smsbat: str, now: int, limit: int) -> Reading:
        """The oldest messages that are still to be submitted under an SMSBAT login, and are due by ``now``.

        What no node has that is there, is this one's from now on.
        """
        if await self._database.read(self._has_others, smsbat, now):
            reach(Point.LEFT_FOUND)
            await self._writer.run(lambda connection: self._take_over(connection, smsbat, now, limit))
            reach(Point.LEFT_TAKEN_OVER)
        found = await self._database.read(self._unsettled, smsbat, now, limit)
        taken_over = frozenset(message.id for message in found.messages) & self._unread
        self._unread -= taken_over
        return replace(found, taken_over=taken_over)

    async def receipts(self, ids: Collection[str], now: int) -> dict[str, Receipt]:
        """What the clients of messages are told; nothing of those that are due and still to be submitted.

        One that is due later counts as taken, and so does one that is no more kept.
        """
        return await self._database.read(self._receipts, ids, now)

    def _receipts(self, ids: Collection[str], now: int) -> dict[str, Receipt]:
        columns = [messages.c[name] for name in ("id", "state", "outcome", "concern", "detail", "due_at")]
        found = dict.fromkeys(ids, ACCEPTED)
        with self._engine.connect() as connection:
            for some in chunks(ids):
                for row in connection.execute(select(*columns).where(messages.c.id.in_(some))):
                    if row.state != State.ACCEPTED.value:
                        found[row.id] = receipt_of(row)
                    elif row.due_at <= now:
                        del found[row.id]
        return found

    @property
    def node(self) -> str:
        """Whose messages are its own."""
        return self._share.id

    @property
    def is_sure(self) -> bool:
        """Whether what is this node's is not sent by others meanwhile."""
        return self._share.is_sure

    @property
    def _is_nobodys(self) -> ColumnElement[bool]:
        """Of no node, or of one that is not on record any more."""
        on_record = exists().where(nodes.c.id == messages.c.node)
        return or_(messages.c.node.is_(None), and_(messages.c.node != self._share.id, ~on_record))

    def _has_others(self, smsbat: str, now: int) -> bool:
        due = (IS_UNSETTLED, messages.c.smsbat == smsbat, messages.c.due_at <= now, self._is_nobodys)
        with self._engine.connect() as connection:
            return connection.execute(select(messages.c.id).where(*due).limit(1)).first() is not None

    def _take_over(self, connection: Connection, smsbat: str, now: int, limit: int) -> None:
        """Make them this node's, and note which of them another one had. Two nodes do not wait for each other."""
        due = (IS_UNSETTLED, messages.c.smsbat == smsbat, messages.c.due_at <= now, self._is_nobodys)
        query = select(messages.c.id, messages.c.node).where(*due).order_by(messages.c.id).limit(limit)
        rows = connection.execute(query.with_for_update(skip_locked=True)).all()
        self._unread.update(row.id for row in rows if row.node is not None)
        for some in chunks(row.id for row in rows):
            connection.execute(update(messages).where(messages.c.id.in_(some)).values(node=self._share.id))

    async def next_due(self, smsbat: str, now: int) -> int | None:
        """When the first of the messages held until after ``now`` is due."""
        return await self._database.read(self._next_due, smsbat, now)

    async def unsettled_counts(self) -> dict[str, int]:
        """How many messages are still to be submitted, by SMSBAT login."""
        return await self._database.read(self._unsettled_counts)

    def _next_due(self, smsbat: str, now: int) -> int | None:
        held = (IS_UNSETTLED, messages.c.smsbat == smsbat, messages.c.due_at > now)
        with self._engine.connect() as connection:
            first: int | None = connection.scalar(select(func.min(messages.c.due_at)).where(*held))
            return first

    def _unsettled(self, smsbat: str, now: int, limit: int) -> Reading:
        own = messages.c.node == self._share.id
        due = (IS_UNSETTLED, messages.c.smsbat == smsbat, messages.c.due_at <= now, own)
        query = select(messages).where(*due).order_by(messages.c.id).limit(limit)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        # Counted before unreadable rows are left out: they are no sign that there are no others.
        return Reading([message for row in rows if (message := _readable(row))], len(rows) < limit)

    def _unsettled_counts(self) -> dict[str, int]:
        query = (
            select(messages.c.smsbat, func.count().label("messages")).where(IS_UNSETTLED).group_by(messages.c.smsbat)
        )
        with self._engine.connect() as connection:
            return {row.smsbat: row.messages for row in connection.execute(query)}


def _planned(follow_ups: Sequence[Message], smsbat: str) -> list[dict[str, Any]]:
    return [message_row(message, smsbat, State.PLANNED.value) for message in follow_ups]


def message_row(
    message: Message, smsbat: str, state: str = State.ACCEPTED.value, node: str | None = None
) -> dict[str, Any]:
    """A row of the table of messages."""
    return {
        "id": message.id,
        "submission": message.submission,
        "position": message.position,
        "account": message.account,
        "smsbat": smsbat,
        "dialect": message.dialect,
        "channel": message.channel,
        "sender": message.sender,
        "recipient": message.recipient,
        "digits": message.digits,
        "reference": message.reference,
        "report": message.report,
        "content": written(message.content),
        "state": state,
        "accepted_at": message.accepted_at,
        "due_at": message.due_at,
        "expires_at": message.expires_at,
        "number": message.number,
        "batch": message.batch,
        "follows": message.follows,
        "node": node,
    }


def _readable(row: Row[Any]) -> Message | None:
    """A row that somebody spoilt by hand must not keep the others from going out."""
    try:
        return _message(row)
    except (KeyError, TypeError, orjson.JSONDecodeError):
        log.exception("a stored message can't be read and stays where it is", id=row.id)
        return None


def _message(row: Row[Any]) -> Message:
    return Message(
        id=row.id,
        submission=row.submission,
        position=row.position,
        account=row.account,
        dialect=row.dialect,
        channel=row.channel,
        sender=row.sender,
        recipient=row.recipient,
        digits=row.digits,
        content=content_of(row.content),
        ttl=(row.expires_at - row.due_at) // 1000,
        reference=row.reference,
        report=row.report,
        accepted_at=row.accepted_at,
        due_at=row.due_at,
        number=row.number,
        batch=row.batch,
        follows=row.follows,
    )


def _settle_in(connection: Connection, settled: Collection[Settled], now: int) -> None:
    for statement, rows in statements(settled, now):
        write_rows(connection, statement, rows)
