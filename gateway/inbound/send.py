"""The ``send`` operation: on disk first, then to SMSBAT, then the answer."""

from __future__ import annotations

import time
from collections.abc import Mapping

from gateway.core.messages import Receipt
from gateway.errors import Refusal, StoreUnavailable
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange
from gateway.outbound.sender import Sender
from gateway.store.messages import MessageStore


class SendOperation:
    """Takes the messages of an understood request."""

    def __init__(self, store: MessageStore, senders: Mapping[str, Sender]) -> None:
        self._store = store
        self._senders = senders

    async def send(self, exchange: Exchange) -> Answer:
        """Store, submit, and answer by SMSBAT's verdict. Raises ``Refusal`` when nothing was taken."""
        assert exchange.identity is not None
        account = exchange.identity.account
        sender = self._senders[account.smsbat]
        if sender.backed_up and account.refuse_on_timeout:
            raise Refusal("temporary")
        deadline = time.monotonic() + account.wait
        try:
            await self._store.accept(exchange.messages, account.smsbat)
        except StoreUnavailable as error:
            raise Refusal("temporary") from error
        if exchange.messages[0].due_at > exchange.messages[0].accepted_at:
            sender.hold(exchange.messages)
            return exchange.accept()
        outcome = await sender.submit(exchange.messages, account, max(0.0, deadline - time.monotonic()))
        receipts = [outcome] * len(exchange.messages) if isinstance(outcome, Receipt) else outcome
        return exchange.settle(receipts)
