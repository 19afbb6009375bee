"""Messages and what belongs to them go when they are old; what is still owed to anyone stays."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from sqlalchemy import Column, ColumnElement, Connection, delete, exists, literal, or_, select, tuple_

from gateway.core.ids import first_id_at
from gateway.core.mailings import MailingState
from gateway.core.messages import State
from gateway.store.admission import UNSENT
from gateway.store.callbacks import CallbackState
from gateway.store.database import Database
from gateway.store.tables import bulks, callbacks, is_mailing, mailings, messages, repeats, replies

log = structlog.get_logger("gateway.retention")

#: Rows in one transaction, and seconds between two: whoever sends must not notice.
_BATCH, _PAUSE = 500, 0.02
_UNFINISHED = (State.ACCEPTED.value, State.PLANNED.value)
_follow_up = messages.alias("follow_up")


def _is_to_be_told(owner: Column[str]) -> ColumnElement[bool]:
    """Whether a script is still to be told something of a message or a bulk request."""
    its = callbacks.alias()
    pending = literal(CallbackState.PENDING.value, literal_execute=True)
    return exists().where(its.c.message == owner, its.c.state == pending)


_IS_OWED = _is_to_be_told(messages.c.id)
#: The word on the end of a bulk request tells of each message.
_BULK_IS_OWED = exists().where(bulks.c.id == mailings.c.bulk, or_(bulks.c.url.is_not(None), _is_to_be_told(bulks.c.id)))
_IS_OF_OWED_BULK = messages.c.batch.is_not(None) & exists().where(
    mailings.c.account == messages.c.account, mailings.c.number == messages.c.batch, _BULK_IS_OWED
)
_IS_FOLLOWED = exists().where(_follow_up.c.follows == messages.c.id, _follow_up.c.state.in_(_UNFINISHED))


async def forget_old(database: Database, before: int) -> int:
    """Remove messages that were accepted before a moment, with their replies, callbacks and mailings; how many.

    Times are milliseconds since the epoch. Raises ``StoreUnavailable``.
    """
    count, after = 0, ""
    while True:
        found = await database.read(_old, database, before, after)
        if not found:
            break
        gone = [message for message, is_over in found if is_over]
        count, after = count + len(gone), found[-1][0]
        if gone:
            await database.writer.run(partial(_forget, gone))
        await asyncio.sleep(_PAUSE)
    for forget in (_forget_replies, _forget_callbacks, _forget_mailings):
        while await database.writer.run(partial(forget, before)) == _BATCH:
            await asyncio.sleep(_PAUSE)
    if count:
        log.info("messages that are old were removed", messages=count)
    return count


def _old(database: Database, before: int, after: str) -> list[tuple[str, bool]]:
    """Old messages in the order of their ids, which is that of their acceptance; and whether nothing more is owed."""
    is_owed = _IS_OWED | _IS_OF_OWED_BULK
    is_over = messages.c.state.not_in(_UNFINISHED) & messages.c.check_at.is_(None) & ~is_owed & ~_IS_FOLLOWED
    query = select(messages.c.id, is_over.label("is_over")).where(
        messages.c.id > after, messages.c.id < first_id_at(before)
    )
    with database.engine.connect() as connection:
        rows = connection.execute(query.order_by(messages.c.id).limit(_BATCH)).all()
    return [(row.id, bool(row.is_over)) for row in rows]


def _forget(gone: list[str], connection: Connection) -> None:
    _forget_unsent(gone, connection)
    connection.execute(delete(messages).where(messages.c.id.in_(gone)))


def _forget_unsent(gone: list[str], connection: Connection) -> None:
    """What would make repeats of those that were not sent: without their rows nothing tells that they were not."""
    is_unsent = (messages.c.state.in_(UNSENT), messages.c.reference.is_not(None))
    query = select(messages.c.id, messages.c.account, messages.c.reference).where(messages.c.id.in_(gone), *is_unsent)
    if rows := connection.execute(query).all():
        requests = {(row.account, row.reference) for row in rows}
        of_requests = tuple_(repeats.c.account, repeats.c.reference).in_(requests)
        connection.execute(delete(repeats).where(of_requests, repeats.c.message.in_([row.id for row in rows])))


def _forget_replies(before: int, connection: Connection) -> int:
    query = select(replies.c.smsbat, replies.c.id).where(replies.c.at < before).limit(_BATCH)
    rows = connection.execute(query).all()
    for row in rows:
        connection.execute(delete(replies).where(replies.c.smsbat == row.smsbat, replies.c.id == row.id))
    return len(rows)


def _forget_callbacks(before: int, connection: Connection) -> int:
    is_owed = callbacks.c.state == literal(CallbackState.PENDING.value, literal_execute=True)
    query = select(callbacks.c.id).where(~is_owed, callbacks.c.event_at < before).limit(_BATCH)
    ids = list(connection.scalars(query))
    connection.execute(delete(callbacks).where(callbacks.c.id.in_(ids)))
    return len(ids)


def _forget_mailings(before: int, connection: Connection) -> int:
    """Those of which no message is left, and bulk requests of which no mailing is."""
    over = (MailingState.RELEASED.value, MailingState.REFUSED.value)
    has_messages = exists().where(messages.c.account == mailings.c.account, messages.c.batch == mailings.c.number)
    old = (mailings.c.created_at < before, mailings.c.state.in_(over), ~has_messages, ~_BULK_IS_OWED)
    rows = connection.execute(select(mailings.c.account, mailings.c.number).where(*old).limit(_BATCH)).all()
    for row in rows:
        connection.execute(delete(mailings).where(is_mailing(row.account, row.number)))
    has_mailings = exists().where(mailings.c.bulk == bulks.c.id)
    connection.execute(delete(bulks).where(bulks.c.created_at < before, bulks.c.url.is_(None), ~has_mailings))
    return len(rows)
