"""The ``send`` operation: on disk first, then to SMSBAT, then the answer."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping, Sequence

from gateway.core.messages import ACCEPTED, Message, Outcome, Receipt
from gateway.errors import Refusal
from gateway.mapping.accounts import Account
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange
from gateway.outbound.sender import Sender
from gateway.store.admission import Terms
from gateway.store.messages import MessageStore


class SendOperation:
    """Takes the messages of an understood request."""

    def __init__(self, store: MessageStore, senders: Mapping[str, Sender]) -> None:
        self._store = store
        self._senders = senders
        #: Messages whose requests wait for a verdict, for the requests that repeat them meanwhile.
        self._awaited: dict[str, asyncio.Future[Receipt]] = {}

    async def perform(self, exchange: Exchange) -> Answer:
        """Store, submit, and answer by SMSBAT's verdict. Raises ``Refusal`` when nothing was taken."""
        assert exchange.identity is not None
        account = exchange.identity.account
        sender = self._senders[account.smsbat]
        if sender.backed_up and account.refuse_on_timeout:
            raise Refusal("temporary")
        deadline = time.monotonic() + account.wait
        if account.repeats is None:
            await self._accept(exchange, account)
            return exchange.settle(await self._submit(sender, exchange.messages, account, deadline))
        with _Announced(self._awaited, exchange.messages) as announced:
            fresh = await self._accept(exchange, account)
            receipts = await self._submit(sender, fresh, account, deadline)
            announced.tell(fresh, receipts)
            return exchange.settle([await self._verdict(message.id, deadline) for message in exchange.messages])

    async def _accept(self, exchange: Exchange, account: Account) -> list[Message]:
        """Store the messages, and return those that are new; those that repeat others take their ids."""
        terms = Terms(account.rate, account.repeats, exchange.pictures)
        ids = await self._store.accept(exchange.messages, account.smsbat, terms)
        if ids is None:
            raise Refusal("rate_limited")
        asked = exchange.messages
        exchange.messages = [
            message if message.id == each else dataclasses.replace(message, id=each)
            for message, each in zip(asked, ids, strict=True)
        ]
        return [message for message, each in zip(asked, ids, strict=True) if message.id == each]

    async def _submit(
        self, sender: Sender, messages: Sequence[Message], account: Account, deadline: float
    ) -> Sequence[Receipt]:
        """What SMSBAT says of stored messages by the deadline; those held until later count as accepted."""
        if not messages:
            return []
        if messages[0].due_at > messages[0].accepted_at:
            sender.hold(messages)
            return [ACCEPTED] * len(messages)
        outcome = await sender.submit(messages, account, max(0.0, deadline - time.monotonic()))
        return [outcome] * len(messages) if isinstance(outcome, Receipt) else outcome

    async def _verdict(self, message_id: str, deadline: float) -> Receipt:
        """What is known by the deadline of a message that this or another request brought."""
        awaited = self._awaited.get(message_id)
        if awaited is None:
            return ACCEPTED
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await asyncio.shield(awaited)
        except TimeoutError:
            return Receipt(Outcome.UNKNOWN)


class _Announced:
    """Messages of a request whose verdicts other requests may wait for while the block runs."""

    def __init__(self, awaited: dict[str, asyncio.Future[Receipt]], messages: Sequence[Message]) -> None:
        loop = asyncio.get_running_loop()
        self._awaited = awaited
        self._own = {message.id: loop.create_future() for message in messages}

    def __enter__(self) -> _Announced:
        self._awaited.update(self._own)
        return self

    def tell(self, messages: Sequence[Message], receipts: Sequence[Receipt]) -> None:
        for message, receipt in zip(messages, receipts, strict=True):
            self._own[message.id].set_result(receipt)

    def __exit__(self, *_: object) -> None:
        for message_id, future in self._own.items():
            del self._awaited[message_id]
            # Only a fault of ours leaves one untold; the message itself is on its way, or was never taken.
            if not future.done():
                future.set_result(Receipt(Outcome.TEMPORARY))
