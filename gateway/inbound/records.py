"""Operations on what is kept for an account under a number: texts, password objects, lists and their subscribers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.clock import now_ms
from gateway.core.ids import LARGEST_NUMBER
from gateway.core.messages import phone_digits
from gateway.errors import Refusal
from gateway.mapping.answers import Answer
from gateway.mapping.bindings import plain
from gateway.mapping.exchange import Exchange
from gateway.mapping.functions import flat
from gateway.mapping.parameters import Faulty
from gateway.store.records import Contact, RecordStore

#: Of a subscriber's fields, those that it is known by.
_PHONE, _EMAIL = "phone", "email"


def account_of(exchange: Exchange) -> str:
    """The name of the account whose request it is."""
    assert exchange.identity is not None
    return exchange.identity.account.name


def number_of(exchange: Exchange, name: str) -> int:
    """An id that the client names. Raises ``Refusal`` for one that nobody was given: the database may not take it."""
    number: int = exchange.input[name]
    if number > LARGEST_NUMBER:
        raise Refusal("unknown")
    return number


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
        account, offset, limit = account_of(exchange), given.get("offset", 0), given.get("limit")
        return exchange.accept({"records": await self._store.listed(account, kind, offset, limit)})


class ImportContactsOperation:
    """Puts subscribers on a list; those who are there get their new fields."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """Import what is good, and tell of every row that is not. Raises ``Refusal`` and ``StoreUnavailable``."""
        given = exchange.input
        names = [str(_only(each) or "").lower() for each in given["fields"]]
        if not {_PHONE, _EMAIL} & set(names):
            assert exchange.endpoint is not None
            raise Refusal("parameter", exchange.endpoint.input_names["fields"])
        contacts, problems = _sorted_out(names, given["rows"])
        new = await self._store.subscribe(account_of(exchange), given["list"]["number"], contacts)
        counts = {"inserted": new, "updated": len(contacts) - new, "invalid": len(problems)}
        return exchange.accept({**flat("imported", counts), "problems": problems})


def _only(entry: Mapping[str, Any] | Faulty | None) -> Any:
    """What an entry of a list is that has one member; ``None`` for a gap, and itself when it is faulty."""
    return entry if entry is None or isinstance(entry, Faulty) else next(iter(entry.values()), None)


def _sorted_out(names: Sequence[str], rows: Sequence[Any]) -> tuple[list[Contact], list[dict[str, Any]]]:
    contacts, problems = [], []
    for index, row in enumerate(rows):
        if row is None:
            continue
        found = _contact(names, _only(row))
        if isinstance(found, Contact):
            contacts.append(found)
        else:
            problems.append({"index": index, "text": found})
    return contacts, problems


def _contact(names: Sequence[str], row: Any) -> Contact | str:
    """A row's subscriber, or the field that is wrong with it."""
    if isinstance(row, Faulty):
        return str(row.refusal.parameter)
    cells = [_only(cell) for cell in row or ()]
    faulty = next((name for name, cell in zip(names, cells, strict=False) if isinstance(cell, Faulty)), None)
    if faulty is not None:
        return faulty
    fields = {name: str(value) for name, value in zip(names, cells, strict=False) if value}
    digits = phone_digits(fields[_PHONE]) if _PHONE in fields else None
    email = fields.get(_EMAIL, "")
    if _PHONE in fields and digits is None:
        return _PHONE
    if digits is None and "@" not in email:
        return _EMAIL if _EMAIL in fields else _PHONE
    return Contact(digits or email.lower(), digits, fields)
