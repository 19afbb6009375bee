"""Operations on mailings: one content to a list of subscribers, or several to numbers in the request."""

from __future__ import annotations

import asyncio
import os
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.clock import now_ms
from gateway.core.ids import MessageIds
from gateway.core.mailings import Mailing, batch_name
from gateway.errors import Refusal
from gateway.inbound.asking import accept_many
from gateway.inbound.records import account_of, number_of
from gateway.mapping.answers import Answer
from gateway.mapping.bindings import MailingPlan
from gateway.mapping.exchange import Exchange
from gateway.mapping.functions import flat
from gateway.mapping.parameters import Faulty
from gateway.outbound.releaser import Releaser
from gateway.store.asking import AskingStore
from gateway.store.mailings import MailingStore, with_deliveries


class Mailer:
    """What operations on mailings have in common. Methods raise ``StoreUnavailable``."""

    def __init__(self, store: MailingStore, asking: AskingStore, releaser: Releaser) -> None:
        self.store = store
        self.asking = asking
        self.releaser = releaser
        self._ids = MessageIds(os.urandom)

    async def write(
        self, exchange: Exchange, mailing: Mailing, contacts_of: int | None = None, bulk: str | None = None
    ) -> tuple[int, int]:
        """Write down a draft and its messages; returns its number and how many they are."""
        assert exchange.identity is not None
        now = now_ms()
        smsbat = exchange.identity.account.smsbat
        created = await self.store.create(mailing, smsbat, now, lambda: self._ids.new(now), contacts_of, bulk)
        exchange.batches = (*exchange.batches, batch_name(mailing.account, created[0]))
        return created


def _plan(exchange: Exchange) -> MailingPlan:
    assert exchange.endpoint is not None
    assert exchange.endpoint.mailing is not None
    return exchange.endpoint.mailing


class CreateMailingOperation:
    """A mailing to a list, to be confirmed unless the dialect says that it is."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    async def perform(self, exchange: Exchange) -> Answer:
        """Write it down and answer. Raises ``StoreUnavailable``."""
        given, account = exchange.input, account_of(exchange)
        mailing = _plan(exchange).build(exchange.values, account, exchange.dialect.name)
        mailing = replace(mailing, picture=next(iter(exchange.pictures), None))
        created = await self._mailer.write(exchange, mailing, contacts_of=given["list"]["number"])
        await self._mailer.store.publish([created], account, bool(given.get("confirmed")))
        self._mailer.releaser.wake()
        return exchange.accept(flat("mailing", {"number": created[0], "count": created[1]}))


class ConfirmMailingOperation:
    """Sends a mailing that waits for that; a second time changes nothing."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    async def perform(self, exchange: Exchange) -> Answer:
        """Durable when it answers. Raises ``Refusal`` and ``StoreUnavailable``."""
        account, number = account_of(exchange), number_of(exchange, "mailing")
        if not await self._mailer.store.confirm(account, number, exchange.input["channel"]):
            raise Refusal("unknown")
        exchange.batches = (batch_name(account, number),)
        self._mailer.releaser.wake()
        return exchange.accept()


class MailingsOperation:
    """Lists mailings."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    async def perform(self, exchange: Exchange) -> Answer:
        """List them. Raises ``StoreUnavailable``."""
        given = exchange.input
        offset, limit = given.get("offset") or 0, given.get("limit")
        found = await self._mailer.store.listed(account_of(exchange), given["channel"], offset, limit)
        return await accept_many(exchange, {"mailings": found}, len(found))


class MailingOperation:
    """One mailing."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    async def perform(self, exchange: Exchange) -> Answer:
        """Tell what it is. Raises ``Refusal`` and ``StoreUnavailable``."""
        number, channel = number_of(exchange, "mailing"), exchange.input["channel"]
        found = await self._mailer.store.find(account_of(exchange), number, channel)
        if found is None:
            raise Refusal("unknown")
        return exchange.accept(flat("mailing", found))


class SendBulkOperation:
    """Several mailings in one request; what is wrong with one of them is told when it is asked for."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    async def perform(self, exchange: Exchange) -> Answer:
        """Write all of them down and answer. Raises ``Refusal`` and ``StoreUnavailable``."""
        given, account = exchange.input, account_of(exchange)
        if all(entry is None for entry in given["mailings"]):
            assert exchange.endpoint is not None
            raise Refusal("parameter", exchange.endpoint.input_names["mailings"])
        bulk = str(uuid.uuid1(node=secrets.randbits(48) | 1 << 40))
        exchange.batches = (bulk,)
        mailings = await asyncio.to_thread(self._built, exchange, given["mailings"], account)
        created = [await self._mailer.write(exchange, mailing, bulk=bulk) for mailing in mailings]
        row = {"id": bulk, "account": account, "dialect": exchange.dialect.name, "url": given.get("callback")}
        await self._mailer.store.publish(created, account, confirmed=True, bulk={**row, "created_at": now_ms()})
        self._mailer.releaser.wake()
        return exchange.accept({"bulk.id": bulk})

    def _built(self, exchange: Exchange, entries: list[Any], account: str) -> list[Mailing]:
        built = [self._mailing(exchange, entry, account) for entry in entries if entry is not None]
        if sum(len(each.recipients) for each in built) > exchange.dialect.file.limits.recipients:
            raise Refusal("size")
        return built

    @staticmethod
    def _mailing(exchange: Exchange, entry: Mapping[str, Any] | Faulty, account: str) -> Mailing:
        name = exchange.dialect.name
        if isinstance(entry, Faulty):
            return _plan(exchange).refused(entry, account, name, exchange.dialect.error(entry.refusal))
        return _plan(exchange).build(entry, account, name)


class BulkStatusOperation:
    """What became of a bulk request."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    async def perform(self, exchange: Exchange) -> Answer:
        """Tell it. Raises ``Refusal`` and ``StoreUnavailable``."""
        bulk, mailer = str(exchange.input["bulk"]).strip().lower(), self._mailer
        found = await with_deliveries(mailer.store, mailer.asking, account_of(exchange), bulk, now_ms(), is_asked=True)
        if not found:
            raise Refusal("unknown")
        return await accept_many(exchange, {"mailings": found}, sum(each["count"] for each in found))
