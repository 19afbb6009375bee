"""The ``send`` operation: on disk first, then to SMSBAT, then the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial

from gateway.clock import now_ms
from gateway.core.lifecycle import Report, Status
from gateway.core.messages import ACCEPTED, Message, Outcome, Receipt
from gateway.errors import Refusal
from gateway.mapping.accounts import Account
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import NO_RESULTS, Exchange
from gateway.outbound.releaser import Releaser
from gateway.outbound.reports import Reports
from gateway.outbound.sender import Sender
from gateway.points import STORED, reach
from gateway.store.admission import NO_TERMS, Terms
from gateway.store.messages import MessageStore
from gateway.store.numbers import Numbers

#: Seconds before the second look at messages that somebody else waits for; twice as long each time.
_LOOK = 0.2


class SendOperation:
    """Takes the messages of an understood request."""

    def __init__(
        self,
        store: MessageStore,
        senders: Mapping[str, Sender],
        reports: Reports,
        numbers: Numbers,
        releaser: Releaser,
    ) -> None:
        self._store = store
        self._senders = senders
        self._reports = reports
        self._numbers = numbers
        self._releaser = releaser
        #: Messages whose requests wait for a verdict, for the requests that repeat them meanwhile.
        self._awaited: dict[str, asyncio.Future[Receipt]] = {}

    async def perform(self, exchange: Exchange, results: Mapping[str, object] = NO_RESULTS) -> Answer:
        """Store, submit, and answer by SMSBAT's verdict, with what else is known. Raises ``Refusal``, nothing taken."""
        assert exchange.identity is not None
        account = exchange.identity.account
        if exchange.dialect.file.numbered:
            exchange.number(await self._numbers.take(account.name, len(exchange.messages)))
        sender = self._senders[account.smsbat]
        if account.refuse_on_timeout and sender.backed_up:
            raise Refusal("temporary")
        deadline = time.monotonic() + account.wait
        if account.repeats is not None:
            return await self._with_repeats(exchange, sender, account, deadline, results)
        messages, terms = exchange.messages, _terms(exchange, account)
        if terms or _is_held(messages):
            node = self._store.node
            await self._accept(exchange, account, terms)
            receipts = await self._submit(sender, messages, account, deadline, node)
        else:
            # What most requests are: they need not be woken between the two.
            store = partial(self._store.put, messages, account.smsbat, exchange.follow_ups)
            receipts = _each(await sender.submit(messages, account, deadline, store), messages)
        return await self._settled(exchange, account, messages, receipts, results)

    async def _with_repeats(
        self, exchange: Exchange, sender: Sender, account: Account, deadline: float, results: Mapping[str, object]
    ) -> Answer:
        """The verdicts of what is new decide the answer, else those of the messages that are repeated."""
        node = self._store.node
        with _Announced(self._awaited, exchange.messages) as announced:
            fresh = await self._accept(exchange, account, _terms(exchange, account))
            # Before anything else is waited for: those requests may end meanwhile.
            repeated = [self._awaited.get(message.id) for message in exchange.messages]
            if not fresh:
                return exchange.settle(await self._told(exchange.messages, repeated, account, deadline), results)
            receipts = await self._submit(sender, fresh, account, deadline, node)
            announced.tell(fresh, receipts)
            return await self._settled(exchange, account, fresh, receipts, results)

    async def _told(
        self,
        messages: Sequence[Message],
        awaited: Sequence[asyncio.Future[Receipt] | None],
        account: Account,
        deadline: float,
    ) -> list[Receipt]:
        """What became of messages that a request repeats."""
        elsewhere = [message.id for message, here in zip(messages, awaited, strict=True) if here is None]
        found = await self._found(elsewhere, account, deadline) if elsewhere else {}
        # Those of this process belong to the same account, so their own waits end before this one would.
        return [
            await asyncio.shield(here) if here else found[message.id]
            for message, here in zip(messages, awaited, strict=True)
        ]

    async def _found(self, ids: Sequence[str], account: Account, deadline: float) -> dict[str, Receipt]:
        """What became of messages that nobody waits for here: another worker may, or the plan before this one."""
        known = await self._store.receipts(ids, now_ms())
        pause = _LOOK
        while len(known) < len(ids) and (left := deadline - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            known |= await self._store.receipts([each for each in ids if each not in known], now_ms())
            pause *= 2
        # Success would be a promise that those who wait for it there may not keep.
        unknown = Receipt(Outcome.TEMPORARY) if account.refuse_on_timeout else ACCEPTED
        return {each: known.get(each, unknown) for each in ids}

    async def _settled(
        self,
        exchange: Exchange,
        account: Account,
        messages: Sequence[Message],
        receipts: Sequence[Receipt],
        results: Mapping[str, object],
    ) -> Answer:
        """The answer; success although some messages were refused owes a report of each of those."""
        answer = exchange.settle(receipts, results)
        if exchange.follow_ups:
            self._releaser.wake()
        # Of a single one, the answer tells.
        if exchange.refusal is not None or len(messages) == 1:
            return answer
        refused = [message for message, receipt in zip(messages, receipts, strict=True) if receipt.refused]
        if refused:
            now = now_ms()
            told = [Report(Status.REJECTED, now, id=message.id) for message in refused]
            await self._reports.report_surely(told, account.smsbat)
        return answer

    async def _accept(self, exchange: Exchange, account: Account, terms: Terms) -> list[Message]:
        """Store the messages, and return those that are new; those that repeat others take their ids."""
        ids = await self._store.accept(exchange.messages, account.smsbat, terms, exchange.follow_ups)
        reach(STORED)
        if ids is None:
            raise Refusal("rate_limited")
        asked = exchange.messages
        exchange.messages = [
            message if message.id == each else message._replace(id=each)
            for message, each in zip(asked, ids, strict=True)
        ]
        return [message for message, each in zip(asked, ids, strict=True) if message.id == each]

    async def _submit(
        self, sender: Sender, messages: Sequence[Message], account: Account, deadline: float, node: str
    ) -> Sequence[Receipt]:
        """What SMSBAT says of stored messages by the deadline; those held until later count as accepted."""
        if _is_held(messages):
            sender.hold(messages)
            return [ACCEPTED] * len(messages)
        return _each(await sender.submit(messages, account, deadline, node), messages)


def _terms(exchange: Exchange, account: Account) -> Terms:
    """What the messages of a request are admitted under."""
    pictures = exchange.pictures
    if pictures or account.rate is not None or account.repeats is not None:
        return Terms(account.rate, account.repeats, pictures)
    return NO_TERMS


def _is_held(messages: Sequence[Message]) -> bool:
    """Whether the messages of a request are to go out later."""
    return messages[0].due_at > messages[0].accepted_at


def _each(outcome: Sequence[Receipt] | Receipt, messages: Sequence[Message]) -> Sequence[Receipt]:
    """A receipt of every message, which may be one for all."""
    return [outcome] * len(messages) if isinstance(outcome, Receipt) else outcome


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
