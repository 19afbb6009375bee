"""The ASGI application for legacy clients.

Plain ASGI, not a framework's request object: form parsing there destroys the bytes that signatures cover, and its
routing knows nothing of mapping files.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

import structlog

from gateway.clock import now_ms
from gateway.core.ids import MessageIds
from gateway.errors import Refusal, StoreUnavailable
from gateway.inbound.album import Album
from gateway.inbound.body import HEAD_AT, Body, ClientGone, Receive, Send
from gateway.inbound.codes import draw_code
from gateway.inbound.form import read_form
from gateway.inbound.turns import abreast
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange
from gateway.mapping.loader import Plan
from gateway.mapping.remembered import Remembered
from gateway.points import ANSWER_LEAVES, UNDERSTOOD, reach
from gateway.store.records import RecordStore
from gateway.tracing import Observer
from gateway.wire.request_line import host_name

log = structlog.get_logger("gateway.inbound")


class Operation(Protocol):
    """What an endpoint does, in neutral words."""

    def perform(self, exchange: Exchange) -> Awaitable[Answer]:
        """Do it. Raises ``Refusal``; ``StoreUnavailable`` and ``OSError`` when it can't be done for now."""


class LegacyApp:
    """Answers every request in the dialect of its place, whatever is wrong with it or with us."""

    def __init__(
        self, plan: Plan, operations: Mapping[str, Operation], album: Album, records: RecordStore, observer: Observer
    ) -> None:
        self._plan = plan
        self._operations = operations
        self._album = album
        self._records = records
        self._observe = observer
        self._ids = MessageIds(os.urandom)
        self._hosts: Remembered[str] = Remembered()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        body = Body(scope, receive)
        host = self._host(body.headers.get(b"host", b""))
        exchange = Exchange(self._plan.dialect_at(host, scope["path"]), scope[HEAD_AT])
        try:
            answer = await self._answer(exchange, scope, host, body)
        except ClientGone:
            return
        await abreast()
        told = [*answer.headers, (b"connection", b"close")] if body.left_unread else answer.headers
        reach(ANSWER_LEAVES)
        await send({"type": "http.response.start", "status": answer.status, "headers": told})
        await send({"type": "http.response.body", "body": answer.body})
        exchange.moments.append(time.perf_counter())
        self._observe(exchange, answer)

    def _host(self, header: bytes) -> str:
        known = self._hosts.get((header,))
        return self._hosts.keep((header,), host_name(header)) if known is None else known

    async def _answer(self, exchange: Exchange, scope: Any, host: str, body: Body) -> Answer:
        try:
            return await self._handle(exchange, scope, host, body)
        except Refusal as refusal:
            return exchange.refuse(refusal)
        except ClientGone:
            raise
        except asyncio.CancelledError:
            log.error("a request is cut off, since the gateway stops", dialect=exchange.dialect.name)
        except (StoreUnavailable, OSError) as error:
            log.error("a request can't be served for now", dialect=exchange.dialect.name, error=str(error))
        except Exception:
            log.exception("a request failed in an unforeseen way", dialect=exchange.dialect.name)
        return exchange.refuse(Refusal("temporary"))

    async def _handle(self, exchange: Exchange, scope: Any, host: str, body: Body) -> Answer:
        try:
            exchange.route(scope["method"], scope["path"], host)
        except Refusal:
            await body.drain()
            raise
        with self._album.spools() as spools:
            fields = await read_form(exchange.dialect, scope["query_string"], body, spools.open)
            exchange.moments.append(time.perf_counter())
            await abreast()
            exchange.identify(fields, self._plan.accounts.identities)
            await abreast()
            return await self._perform(exchange)

    async def _perform(self, exchange: Exchange) -> Answer:
        assert exchange.identity is not None
        assert exchange.endpoint is not None
        now, account = now_ms(), exchange.identity.account.name
        pictures, records = exchange.pictures, exchange.records
        addresses = await self._album.addresses(pictures, account, now) if pictures else {}
        found = await self._records.find(account, records) if records else {}
        if exchange.fields is not None and exchange.fields.are_many:
            # A hundred thousand numbers would hold up everybody else.
            await asyncio.to_thread(exchange.check, addresses.get, found)
        else:
            exchange.check(addresses.get, found)
        if exchange.uploads:
            # A bucket's client needs a task.
            await asyncio.create_task(self._keep(exchange, account, now))
        await abreast()
        exchange.build(now, lambda: self._ids.new(now), draw_code)
        reach(UNDERSTOOD)
        exchange.moments.append(time.perf_counter())
        await abreast()
        operation = self._operations.get(exchange.endpoint.operation or "")
        return await operation.perform(exchange) if operation else exchange.accept()

    async def _keep(self, exchange: Exchange, account: str, now: int) -> None:
        """The pictures in a request; one that is to be shown needs an address for that."""
        for name, upload in exchange.uploads.items():
            if exchange.dialect.sends and not self._album.is_public:
                raise Refusal("unsupported", name)
            exchange.keep(name, *await self._album.keep(upload, account, now))
