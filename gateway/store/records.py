"""What is kept for accounts under a number: texts, password objects, lists and their subscribers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, tuple_, update

from gateway.store.chunks import chunks
from gateway.store.database import Database
from gateway.store.numbers import take_numbers
from gateway.store.tables import contacts, records

Fields = Mapping[str, Any]
#: Subscribers in one transaction.
_AT_ONCE = 5_000
_ADD = insert(contacts)
_SET = (
    update(contacts)
    .where(contacts.c.account == bindparam("_account"), contacts.c.list == bindparam("_list"))
    .where(contacts.c.key == bindparam("_key"))
    .values(digits=bindparam("digits"), content=bindparam("content"))
)


@dataclass(frozen=True, slots=True)
class Contact:
    """A subscriber: what it is known again by, its number if it has one, and everything that was told of it."""

    key: str
    digits: str | None
    fields: Mapping[str, str]


class RecordStore:
    """Every method raises ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, account: str, kind: str, fields: Fields, now: int) -> Fields:
        """Keep something new, and return it as it is found from now on."""

        def work(connection: Connection) -> int:
            number = take_numbers(connection, account, 1)
            row = {"account": account, "number": number, "kind": kind, "created_at": now}
            connection.execute(insert(records).values(**row, content=orjson.dumps(fields).decode()))
            return number

        return {**fields, "number": await self._database.writer.run(work), "created_at": now, "count": 0}

    async def edit(self, account: str, kind: str, number: int, fields: Fields) -> None:
        """Set some of its fields."""

        def work(connection: Connection) -> None:
            row = connection.execute(select(records.c.content).where(*_is(account, kind, number))).first()
            if row is not None:
                content = orjson.dumps({**orjson.loads(row.content), **fields}).decode()
                connection.execute(update(records).where(*_is(account, kind, number)).values(content=content))

        await self._database.writer.run(work)

    async def remove(self, account: str, kind: str, number: int) -> None:
        """Forget it."""
        await self._database.writer.run(
            lambda connection: connection.execute(delete(records).where(*_is(account, kind, number)))
        )

    async def find(self, account: str, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Fields]:
        """Those of these kinds and numbers that the account has."""
        return await self._database.read(self._find, account, wanted) if wanted else {}

    async def listed(self, account: str, kind: str, offset: int, limit: int | None) -> list[Fields]:
        """What the account has of a kind, oldest first."""
        return await self._database.read(self._listed, account, kind, offset, limit)

    async def subscribe(self, account: str, number: int, subscribers: Sequence[Contact]) -> int:
        """Put subscribers on a list, or their new fields to those who are there; returns how many are new."""
        count = 0
        # A large list in one transaction would hold up everybody's messages for seconds.
        for some in chunks(subscribers, _AT_ONCE):
            count += await self._database.writer.run(partial(_subscribe, account, number, some))
        return count

    def _find(self, account: str, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Fields]:
        query = select(records).where(records.c.account == account)
        query = query.where(tuple_(records.c.kind, records.c.number).in_(wanted))
        with self._database.engine.connect() as connection:
            rows = connection.execute(query).all()
            counts = _counts(connection, account, [row.number for row in rows if row.kind == "list"])
        return {(row.kind, row.number): _fields(row, counts.get(row.number, 0)) for row in rows}

    def _listed(self, account: str, kind: str, offset: int, limit: int | None) -> list[Fields]:
        query = select(records).where(records.c.account == account, records.c.kind == kind)
        with self._database.engine.connect() as connection:
            rows = connection.execute(query.order_by(records.c.number).offset(offset).limit(limit)).all()
            counts = _counts(connection, account, [row.number for row in rows]) if kind == "list" else {}
        return [_fields(row, counts.get(row.number, 0)) for row in rows]


def _is(account: str, kind: str, number: int) -> tuple[Any, ...]:
    return records.c.account == account, records.c.number == number, records.c.kind == kind


def _fields(row: Row[Any], count: int) -> Fields:
    return {**orjson.loads(row.content), "number": row.number, "created_at": row.created_at, "count": count}


def _counts(connection: Connection, account: str, lists: Sequence[int]) -> dict[int, int]:
    if not lists:
        return {}
    query = (
        select(contacts.c.list, func.count().label("subscribers"))
        .where(contacts.c.account == account, contacts.c.list.in_(lists))
        .group_by(contacts.c.list)
    )
    return {row.list: row.subscribers for row in connection.execute(query)}


def _subscribe(account: str, number: int, subscribers: Sequence[Contact], connection: Connection) -> int:
    """The same one may stand there twice, or be on the list already: it has all the fields that it was ever given."""
    here = (contacts.c.account == account, contacts.c.list == number)
    known = select(contacts.c.key, contacts.c.content).where(*here)
    fields: dict[str, dict[str, str]] = {}
    for keys in chunks(each.key for each in subscribers):
        rows = connection.execute(known.where(contacts.c.key.in_(keys)))
        fields.update({row.key: orjson.loads(row.content) for row in rows})
    old = frozenset(fields)
    for each in subscribers:
        fields[each.key] = {**fields.get(each.key, {}), **each.fields}
    digits = {each.key: each.digits for each in subscribers}
    contents = {key: (digits[key], orjson.dumps(each).decode()) for key, each in fields.items()}
    row = {"account": account, "list": number}
    added = [{**row, "key": k, "digits": d, "content": c} for k, (d, c) in contents.items() if k not in old]
    place = {"_account": account, "_list": number}
    changed = [{**place, "_key": k, "digits": d, "content": c} for k, (d, c) in contents.items() if k in old]
    for statement, some in ((_ADD, added), (_SET, changed)):
        if some:
            connection.execute(statement, some)
    return len(added)
