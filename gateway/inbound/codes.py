"""Operations on codes: one goes to a subscriber, who tells it to the client, who asks whether it is the right one."""

from __future__ import annotations

import secrets

from gateway.clock import now_ms
from gateway.core.codes import ALPHABETS
from gateway.errors import Refusal
from gateway.inbound.records import account_of
from gateway.inbound.send import SendOperation
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange
from gateway.mapping.functions import flat
from gateway.store.codes import CodeStore, UnknownCode


def draw_code(alphabet: str, length: int) -> str:
    """So many characters of an alphabet, each as likely as the others and not to be foreseen."""
    return "".join(secrets.choice(ALPHABETS[alphabet]) for _ in range(length))


class SendCodeOperation:
    """Sends a code, and keeps what it takes to tell whether somebody knows it."""

    def __init__(self, store: CodeStore, send: SendOperation) -> None:
        self._store = store
        self._send = send

    async def perform(self, exchange: Exchange) -> Answer:
        """Keep it, then send it as any message. Raises ``Refusal`` and ``StoreUnavailable``."""
        given, message = exchange.input, exchange.messages[0]
        until = message.due_at + given["seconds"] * 1000
        code_id = await self._store.add(
            account_of(exchange), message.digits, str(given["code"]), given["attempts"], until
        )
        return await self._send.perform(exchange, {"call.id": code_id})


class ConfirmCodeOperation:
    """Whether a code is the right one: once, in time, and within its attempts."""

    def __init__(self, store: CodeStore) -> None:
        self._store = store

    async def perform(self, exchange: Exchange) -> Answer:
        """Tell it. Raises ``Refusal`` and ``StoreUnavailable``."""
        given = exchange.input
        try:
            confirmed = await self._store.confirm(
                account_of(exchange), given["id"], given["phone"], given["code"], now_ms()
            )
        except UnknownCode as error:
            raise Refusal("unknown") from error
        if confirmed is None:
            assert exchange.endpoint is not None
            raise Refusal("parameter", exchange.endpoint.input_names["code"])
        return exchange.accept(flat("confirmed", confirmed))
