"""Operations by which clients ask what became of what they sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.clock import now_ms
from gateway.core.ids import number_in
from gateway.errors import Refusal
from gateway.inbound.records import account_of, number_of
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange
from gateway.mapping.functions import flat
from gateway.store.asking import AskingStore

#: Replies that are marked as read in one request.
_MOST = 10_000
#: An answer about more messages is written in a thread: it takes its time.
_MANY = 500


async def accept_many(exchange: Exchange, results: Mapping[str, object], count: int) -> Answer:
    """The answer to success, with so many things in it."""
    return await asyncio.to_thread(exchange.accept, results) if count > _MANY else exchange.accept(results)


class StatusOperation:
    """What became of one message."""

    def __init__(self, store: AskingStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """Tell it. Raises ``Refusal`` and ``StoreUnavailable``."""
        found = await self._store.message(account_of(exchange), number_of(exchange, "message"), now_ms())
        if found is None:
            raise Refusal("unknown")
        return exchange.accept(flat("found", found))


class DeliveriesOperation:
    """What became of the messages of a mailing, or of those that were made of a text."""

    def __init__(self, store: AskingStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """Tell it. Raises ``Refusal`` and ``StoreUnavailable``."""
        given = exchange.input
        offset, limit = given.get("offset") or 0, given.get("limit")
        account, channel = account_of(exchange), given["channel"]
        found = await self._store.batch(account, number_of(exchange, "batch"), channel, offset, limit, now_ms())
        if found is None:
            raise Refusal("unknown")
        return await accept_many(exchange, {"deliveries": found}, len(found))


class RepliesOperation:
    """Replies that are not marked as read."""

    def __init__(self, store: AskingStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """Tell them. Raises ``Refusal`` and ``StoreUnavailable``."""
        found = await self._store.replies(account_of(exchange), number_of(exchange, "batch"))
        if found is None:
            raise Refusal("unknown")
        return exchange.accept({"replies": found})


class MarkReadOperation:
    """Marks replies as read."""

    def __init__(self, store: AskingStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """Mark those of the account; what is none of its numbers is passed over. Raises ``StoreUnavailable``."""
        named = [number_in(each.strip()) for each in str(exchange.input["replies"]).split(",")]
        numbers = [each for each in named if each is not None]
        count = await self._store.mark_read(account_of(exchange), numbers[:_MOST], now_ms())
        return exchange.accept({"marked.count": count})
