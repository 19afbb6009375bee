"""Operations on what is kept for an account under a number: texts, password objects, lists and their subscribers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.clock import now_ms
from gateway.core.messages import phone_digits
from gateway.errors import Refusal
from gateway.mapping.answers import Answer
from gateway.mapping.bindings import plain
from gateway.mapping.exchange import Exchange
from gateway.mapping.functions import flat
from gateway.store.records import Contact, RecordStore

#: Of a subscriber's fields, those that it is known by.
_PHONE, _EMAIL = "phone", "email"


def account_of(exchange: Exchange) -> str:
    """The name of the account whose request it is."""
    assert exchange.identity is not None
    return exchange.identity.account.name


def _parted(exchange: Exchange) -> tuple[str, int, dict[str, Any]]:
    """Kind, number if any, and the fields that are given, of an operation's input."""
    given = {name: plain(value) for name, value in exchange.input.items()}
    kind, record = given.pop("kind"), given.pop("record", None)
    return str(kind), record["number"] if record else 0, {k: v for k, v in given.items() if v is not None}


class CreateOperation:
    """Keeps something new."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """Keep it and answer. Raises ``StoreUnavailable``."""
        kind, _, fields = _parted(exchange)
        record = await self._store.create(account_of(exchange), kind, fields, now_ms())
        return exchange.accept(flat("record", record))


class EditOperation:
    """Sets the fields that are given of something that is kept."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """Set them and answer. Raises ``StoreUnavailable``."""
        kind, number, fields = _parted(exchange)
        await self._store.edit(account_of(exchange), kind, number, fields)
        return exchange.accept()


class RemoveOperation:
    """Forgets something that is kept."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """Forget it and answer. Raises ``StoreUnavailable``."""
        kind, number, _ = _parted(exchange)
        await self._store.remove(account_of(exchange), kind, number)
        return exchange.accept()


class ListOperation:
    """Lists what is kept of a kind."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """List it. Raises ``StoreUnavailable``."""
        kind, _, given = _parted(exchange)
        account, offset, limit = account_of(exchange), given.get("offset", 0), given.get("limit", 1000)
        return exchange.accept({"records": await self._store.listed(account, kind, offset, limit)})


class ImportContactsOperation:
    """Puts subscribers on a list; those who are there get their new fields."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """Import what is good, and tell of every row that is not. Raises ``Refusal`` and ``StoreUnavailable``."""
        given = exchange.input
        names = [str(plain_entry(each)).lower() for each in given["fields"]]
        if not {_PHONE, _EMAIL} & set(names):
            assert exchange.endpoint is not None
            raise Refusal("parameter", exchange.endpoint.input_names["fields"])
        rows = [[plain_entry(cell) for cell in _cells(row)] for row in given["rows"]]
        contacts, problems = _sorted_out(names, rows)
        new = await self._store.subscribe(account_of(exchange), given["list"]["number"], contacts)
        counts = {"inserted": new, "updated": len(contacts) - new, "invalid": len(problems)}
        return exchange.accept({**flat("imported", counts), "problems": problems})


def plain_entry(entry: Mapping[str, Any]) -> Any:
    """What an entry of a list is that has one member only."""
    return next(iter(entry.values()), None)


def _cells(row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    cells: Sequence[Mapping[str, Any]] = plain_entry(row) or ()
    return cells


def _sorted_out(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[list[Contact], list[dict[str, Any]]]:
    contacts, problems = [], []
    for index, found in enumerate(_contacts(names, rows)):
        if isinstance(found, str):
            problems.append({"index": index, "text": found})
        else:
            contacts.append(found)
    return contacts, problems


def _contacts(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[Contact | str]:
    """Each row's subscriber, or the field that is wrong with it."""
    for row in rows:
        fields = {name: str(value) for name, value in zip(names, row, strict=False) if value}
        digits = phone_digits(fields[_PHONE]) if _PHONE in fields else None
        email = fields.get(_EMAIL, "")
        if _PHONE in fields and digits is None:
            yield _PHONE
        elif digits is None and "@" not in email:
            yield _EMAIL if _EMAIL in fields else _PHONE
        else:
            yield Contact(digits or email.lower(), digits, fields)
