"""Callbacks owed to partners, as rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Row, Select, bindparam, exists, insert, literal, select, update

from gateway.mapping.callbacks import Facts
from gateway.store.bulk import write_rows
from gateway.store.database import Database
from gateway.store.tables import callbacks

_earlier = callbacks.alias("earlier")
_BATCH = 200


class CallbackState(StrEnum):
    """``REFUSED``: the partner said that it wants no more of it. ``DEAD``: it never said anything good."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    DEAD = "dead"

    @property
    def ended(self) -> bool:
        """Whether nothing more is owed."""
        return self is not CallbackState.PENDING


class Script(NamedTuple):
    """Whom callbacks are owed to: an account's script in a dialect, or those that its requests name."""

    account: str
    dialect: str
    by_request: bool = False


_IS_PENDING = callbacks.c.state == literal(CallbackState.PENDING.value, literal_execute=True)
_EARLIER_IS_PENDING = _earlier.c.state == literal(CallbackState.PENDING.value, literal_execute=True)
_FINISH = (
    update(callbacks)
    .where(callbacks.c.id == bindparam("_id"), callbacks.c.tries == bindparam("_tries"))
    .where(callbacks.c.state == CallbackState.PENDING.value)
    .values(**{name: bindparam(name) for name in ("state", "due_at", "tries", "outcome")})
)
_INSERT = insert(callbacks)


@dataclass(frozen=True, slots=True)
class Callback:
    """One request owed to a partner; ``outcome`` is what its last try ended in. Times are in ms since the epoch."""

    id: int
    message: str
    account: str
    dialect: str
    facts: Facts
    state: CallbackState
    event_at: int
    due_at: int
    tries: int
    outcome: str | None
    url: str | None = None


def callback_row(facts: Facts, account: str, dialect: str, now: int, url: str | None = None) -> dict[str, Any]:
    """A row for ``insert_callbacks``; with the address that a request named, if it did."""
    return {
        "message": facts.id,
        "account": account,
        "dialect": dialect,
        "facts": orjson.dumps(asdict(facts)).decode(),
        "state": CallbackState.PENDING.value,
        "event_at": now,
        "due_at": now,
        "tries": 0,
        "url": url,
    }


def insert_callbacks(connection: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows in a transaction that somebody else has begun."""
    if rows:
        write_rows(connection, _INSERT, rows)


#: What else is known of a callback when it goes out.
Details = Callable[[Callback], Awaitable[Mapping[str, Any]]]


async def _no_details(_callback: Callback) -> Mapping[str, Any]:
    return {}


class CallbackStore:
    """The outbox. Every method raises ``StoreUnavailable``."""

    def __init__(self, database: Database, details: Details = _no_details) -> None:
        self._database = database
        self.details = details

    async def due(self, script: Script, now: int, limit: int, without: Collection[int]) -> list[Callback]:
        """Callbacks to one script that may go out now, those of a message in order.

        One that is tried again keeps those behind it back until it is done.
        """
        return await self._database.read(self._due, script, now, limit, without)

    async def finish(self, callback: Callback, state: CallbackState, due_at: int, outcome: str) -> None:
        """Write down how a try ended."""
        row = {"_id": callback.id, "state": state.value, "due_at": due_at, "tries": callback.tries + 1}
        row["_tries"] = callback.tries
        await self._database.writer.write(_FINISH, [{**row, "outcome": outcome}])

    async def listed(self, states: Collection[CallbackState], account: str | None, limit: int) -> list[Callback]:
        """The newest callbacks in these states, of one account or of all."""
        return await self._database.read(self._listed, states, account, limit)

    async def retry(self, ids: Collection[int] | None, account: str | None, now: int) -> int:
        """Owe ended callbacks again, from now on: those named, or all that were refused or are dead; how many."""
        count = 0
        while again := await self._database.writer.run(lambda connection: _owed_again(connection, ids, account, now)):
            count += again
        return count

    def _due(self, script: Script, now: int, limit: int, without: Collection[int]) -> list[Callback]:
        is_behind = exists().where(
            _EARLIER_IS_PENDING,
            _earlier.c.message == callbacks.c.message,
            _earlier.c.id < callbacks.c.id,
            _earlier.c.due_at > callbacks.c.due_at,
        )
        query = (
            select(callbacks)
            .where(_IS_PENDING, callbacks.c.account == script.account, callbacks.c.dialect == script.dialect)
            .where(callbacks.c.url.is_not(None) if script.by_request else callbacks.c.url.is_(None))
            .where(callbacks.c.due_at <= now, callbacks.c.id.not_in(without), ~is_behind)
            .order_by(callbacks.c.due_at, callbacks.c.id)
            .limit(limit)
        )
        with self._database.engine.connect() as connection:
            return [_callback(row) for row in connection.execute(query)]

    def _listed(self, states: Collection[CallbackState], account: str | None, limit: int) -> list[Callback]:
        """Each state by itself: what is owed and what has ended are in different indexes."""
        with self._database.engine.connect() as connection:
            rows = [row for state in states for row in connection.execute(_in_state(state, account).limit(limit))]
        return [_callback(row) for row in sorted(rows, key=lambda row: -row.id)[:limit]]


def _in_state(state: CallbackState, account: str | None) -> Select[Any]:
    """Callbacks in a state, newest first."""
    is_in = (callbacks.c.state == literal(state.value, literal_execute=True), *((~_IS_PENDING,) if state.ended else ()))
    query = select(callbacks).where(*is_in).order_by(callbacks.c.id.desc())
    return query if account is None else query.where(callbacks.c.account == account)


def _owed_again(connection: Connection, ids: Collection[int] | None, account: str | None, now: int) -> int:
    """A few at a time: the gateway may want to write meanwhile."""
    found: list[int] = []
    for state in (CallbackState.REFUSED, CallbackState.DEAD):
        query = _in_state(state, account)
        query = query if ids is None else query.where(callbacks.c.id.in_(ids))
        found += [row.id for row in connection.execute(query.limit(_BATCH))]
    if found:
        fresh = {"state": CallbackState.PENDING.value, "event_at": now, "due_at": now, "tries": 0}
        connection.execute(update(callbacks).where(callbacks.c.id.in_(found)).values(**fresh))
    return len(found)


def _callback(row: Row[Any]) -> Callback:
    return Callback(
        id=row.id,
        message=row.message,
        account=row.account,
        dialect=row.dialect,
        facts=Facts(**orjson.loads(row.facts)),
        state=CallbackState(row.state),
        event_at=row.event_at,
        due_at=row.due_at,
        tries=row.tries,
        outcome=row.outcome,
        url=row.url,
    )
