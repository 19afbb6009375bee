"""Mailings: written down with all their messages before they are told of, sent when they are confirmed and due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.core.lifecycle import Status
from gateway.core.mailings import Mailing, MailingState, Recipient
from gateway.core.messages import Message, State
from gateway.errors import StoreUnavailable
from gateway.store.asking import AskingStore
from gateway.store.chunks import chunks
from gateway.store.contents import content_of, written
from gateway.store.database import Database
from gateway.store.messages import message_row
from gateway.store.numbers import Numbers
from gateway.store.tables import bulks, contacts, is_mailing, mailings, messages

#: Messages written in one transaction: others want to write meanwhile.
CHUNK = 2000
_INSERT = insert(messages)
_HIDDEN = (MailingState.DRAFT.value,)
NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A mailing whose messages are being written down."""

    mailing: Mailing
    number: int
    smsbat: str
    now: int
    new_id: NewId


class MailingStore:
    """Every method raises ``StoreUnavailable``."""

    def __init__(self, database: Database, numbers: Numbers) -> None:
        self._database = database
        self._numbers = numbers

    async def create(
        self, mailing: Mailing, smsbat: str, now: int, new_id: NewId, contacts_of: int | None, bulk: str | None = None
    ) -> tuple[int, int]:
        """Write down a mailing to its own numbers, or to those of a list; returns its number and how many they are.

        It is a draft until ``publish``: should the gateway end before, nobody was told of it, and retention clears it
        away.
        """
        number = await self._numbers.take(mailing.account)
        row = _row(mailing, number, smsbat, now, bulk)
        await self._database.writer.run(lambda connection: connection.execute(insert(mailings).values(**row)))
        draft, count = _Draft(mailing, number, smsbat, now, new_id), 0
        if contacts_of is None:
            for some in chunks(mailing.recipients, CHUNK):
                count += await self._write(draft, some)
            return number, count
        after = ""
        while some_contacts := await self._database.read(self._subscribers, mailing.account, contacts_of, after):
            numbered = [Recipient(row.digits, row.digits) for row in some_contacts if row.digits]
            count += await self._write(draft, numbered)
            after = some_contacts[-1].key
        return number, count

    async def publish(
        self, created: Sequence[tuple[int, int]], account: str, confirmed: bool, bulk: dict[str, Any] | None = None
    ) -> None:
        """From now on these mailings, each with its count, are there; confirmed ones are to be sent.

        None of them is when one was cleared away meanwhile.
        """

        def work(connection: Connection) -> bool:
            if not _are_there(connection, account, [number for number, _ in created]):
                return False
            for number, count in created:
                state = MailingState.CONFIRMED if confirmed else MailingState.UNCONFIRMED
                drafts = update(mailings).where(
                    is_mailing(account, number), mailings.c.state == MailingState.DRAFT.value
                )
                connection.execute(drafts.values(state=state.value, count=count))
            if bulk:
                connection.execute(insert(bulks).values(**bulk))
            return True

        if not await self._database.writer.run(work):
            raise StoreUnavailable("a mailing took so long to write down that it was cleared away")

    async def confirm(self, account: str, number: int, channel: str) -> bool:
        """Send a mailing, once; false when the account has none of this number on this channel."""

        def work(connection: Connection) -> bool:
            here = (is_mailing(account, number), mailings.c.channel == channel)
            unconfirmed = mailings.c.state == MailingState.UNCONFIRMED.value
            connection.execute(update(mailings).where(*here, unconfirmed).values(state=MailingState.CONFIRMED.value))
            known = select(mailings.c.number).where(*here, mailings.c.state.not_in(_HIDDEN))
            return connection.execute(known).first() is not None

        return await self._database.writer.run(work)

    async def listed(self, account: str, channel: str, offset: int, limit: int | None) -> list[dict[str, Any]]:
        """An account's mailings, oldest first."""
        return await self._database.read(self._listed, account, channel, offset, limit)

    async def find(self, account: str, number: int, channel: str) -> dict[str, Any] | None:
        """One mailing on a channel."""
        return await self._database.read(self._find, account, number, channel)

    async def of_bulk(self, account: str, bulk: str) -> list[dict[str, Any]]:
        """The mailings of one request, in its order; none when there is no such request."""
        return await self._database.read(self._of_bulk, account, bulk)

    async def _write(self, draft: _Draft, some: Sequence[Recipient]) -> int:
        if not some:
            return 0
        first = await self._numbers.take(draft.mailing.account, len(some))
        rows = [_message_row(draft, each, first + i) for i, each in enumerate(some)]
        await self._database.writer.write(_INSERT, rows)
        return len(rows)

    def _subscribers(self, account: str, number: int, after: str) -> list[Row[Any]]:
        query = (
            select(contacts.c.key, contacts.c.digits)
            .where(contacts.c.account == account, contacts.c.list == number, contacts.c.key > after)
            .order_by(contacts.c.key)
            .limit(CHUNK)
        )
        with self._database.engine.connect() as connection:
            return [*connection.execute(query)]

    def _listed(self, account: str, channel: str, offset: int, limit: int | None) -> list[dict[str, Any]]:
        query = (
            select(mailings)
            .where(mailings.c.account == account, mailings.c.channel == channel, mailings.c.state.not_in(_HIDDEN))
            .where(mailings.c.bulk.is_(None))
            .order_by(mailings.c.number)
            .offset(offset)
            .limit(limit)
        )
        with self._database.engine.connect() as connection:
            return [_known(row) for row in connection.execute(query)]

    def _find(self, account: str, number: int, channel: str) -> dict[str, Any] | None:
        here = (is_mailing(account, number), mailings.c.channel == channel)
        with self._database.engine.connect() as connection:
            row = connection.execute(select(mailings).where(*here, mailings.c.state.not_in(_HIDDEN))).first()
        return _known(row) if row else None

    def _of_bulk(self, account: str, bulk: str) -> list[dict[str, Any]]:
        query = select(mailings).join(bulks, bulks.c.id == mailings.c.bulk)
        query = query.where(bulks.c.id == bulk, bulks.c.account == account).order_by(mailings.c.number)
        with self._database.engine.connect() as connection:
            return [_known(row) for row in connection.execute(query)]


async def with_deliveries(
    store: MailingStore, asking: AskingStore, account: str, bulk: str, now: int, is_asked: bool
) -> list[dict[str, Any]]:
    """A bulk request's mailings with what became of each message: as it is, or as it is told who asks."""
    found = await store.of_bulk(account, bulk)
    for mailing in found:
        number = mailing["number"]
        if mailing["problem"]:
            mailing["deliveries"] = []
        elif is_asked:
            mailing["deliveries"] = await asking.batch(account, number, mailing["channel"], 0, None, now) or []
        else:
            mailing["deliveries"] = await asking.ended(account, number, now)
    return found


def _are_there(connection: Connection, account: str, created: Sequence[int]) -> bool:
    """Whether an account has all these mailings; they stay while the transaction lasts."""
    for some in chunks(created):
        known = select(mailings.c.number).where(mailings.c.account == account, mailings.c.number.in_(some))
        if len(connection.execute(known.with_for_update()).all()) < len(some):
            return False
    return True


def _row(mailing: Mailing, number: int, smsbat: str, now: int, bulk: str | None) -> dict[str, Any]:
    return {
        "account": mailing.account,
        "number": number,
        "dialect": mailing.dialect,
        "smsbat": smsbat,
        "channel": mailing.channel,
        "name": mailing.name or f"Mailing {number}",
        "kind": mailing.kind,
        "sender": mailing.sender,
        "sender_id": mailing.sender_id,
        "content": written(mailing.content),
        "state": (MailingState.REFUSED if mailing.problem else MailingState.DRAFT).value,
        "problem": mailing.problem,
        "count": 0,
        "ttl": mailing.ttl,
        "created_at": now,
        "due_at": mailing.due_at,
        "bulk": bulk,
        "picture": mailing.picture,
    }


def _message_row(draft: _Draft, recipient: Recipient, number: int) -> dict[str, Any]:
    """A planned message; one to what is no number has failed already."""
    mailing, now, message_id = draft.mailing, draft.now, draft.new_id()
    message = Message(
        id=message_id,
        submission=message_id,
        position=0,
        account=mailing.account,
        dialect=mailing.dialect,
        channel=mailing.channel,
        sender=mailing.sender,
        recipient=recipient.phone,
        digits=recipient.digits or "",
        content=recipient.content or mailing.content,
        ttl=mailing.ttl,
        reference=None,
        report=True,
        accepted_at=now,
        due_at=now,
        number=number,
        batch=draft.number,
    )
    ended: dict[str, Any] = {"status": None, "status_at": None, "final_at": None, "asked_at": None}
    if recipient.digits is None:
        # Told as failed from the start: nobody waits for it to be sent first.
        ended = {"status": Status.REJECTED.value, "status_at": now, "final_at": now, "asked_at": now}
    state = State.PLANNED if recipient.digits else State.REFUSED
    return {**message_row(message, draft.smsbat, state.value), **ended}


def _known(row: Row[Any]) -> dict[str, Any]:
    """A mailing in the words that dialect files use."""
    content = content_of(row.content)
    return {
        "number": row.number,
        "name": row.name,
        "kind": row.kind,
        "text": content.text,
        "button_text": content.button_text,
        "button_link": content.button_link,
        "image": content.image,
        "stage": "sent" if row.state == MailingState.RELEASED.value else "new",
        "created_at": row.created_at,
        "due_at": row.due_at or row.created_at,
        "count": row.count,
        "sender_id": row.sender_id,
        "problem": row.problem,
        "channel": row.channel,
    }
