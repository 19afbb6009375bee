"""The ASGI application for legacy clients.

Plain ASGI, not a framework's request object: form parsing there destroys the bytes that signatures cover, and its
routing knows nothing of mapping files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from gateway.core.ids import MessageIds
from gateway.errors import Refusal
from gateway.inbound.body import Body, ClientGone, Event, Headers, Receive
from gateway.inbound.send import SendOperation
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange
from gateway.mapping.loader import Plan
from gateway.wire.raw_http import Request, host_name

Send = Callable[[Event], Awaitable[None]]
#: Told of every exchange when it is answered, with its duration in seconds.
Observer = Callable[[Exchange, Answer, float], None]

log = structlog.get_logger("gateway.inbound")


class LegacyApp:
    """Answers every request in the dialect of its path, whatever is wrong with it or with us."""

    def __init__(self, plan: Plan, operation: SendOperation, observer: Observer) -> None:
        self._plan = plan
        self._operation = operation
        self._observe = observer
        self._ids = MessageIds(os.urandom)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = time.perf_counter()
        exchange = Exchange(self._plan.dialect_at(scope["path"]))
        headers = dict(scope["headers"])
        body = Body(receive, headers)
        try:
            answer = await self._answer(exchange, scope, headers, body)
        except ClientGone:
            return
        told = [*answer.headers, (b"connection", b"close")] if body.left_unread else answer.headers
        await send({"type": "http.response.start", "status": answer.status, "headers": told})
        await send({"type": "http.response.body", "body": answer.body})
        self._tell(exchange, answer, time.perf_counter() - started)

    def _tell(self, exchange: Exchange, answer: Answer, seconds: float) -> None:
        """What is wrong with the observer must not end the client's connection."""
        try:
            self._observe(exchange, answer, seconds)
        except Exception:
            log.exception("an answered request could not be told of")

    async def _answer(self, exchange: Exchange, scope: Any, headers: Headers, body: Body) -> Answer:
        try:
            return await self._handle(exchange, scope, headers, body)
        except Refusal as refusal:
            return exchange.refuse(refusal)
        except ClientGone:
            raise
        except Exception:
            log.exception("a request failed in an unforeseen way", dialect=exchange.dialect.name)
            return exchange.refuse(Refusal("temporary"))

    async def _handle(self, exchange: Exchange, scope: Any, headers: Headers, body: Body) -> Answer:
        method, path, host = scope["method"], scope["path"], host_name(headers.get(b"host", b""))
        try:
            exchange.route(method, path, host)
        except Refusal:
            await body.drain()
            raise
        content = await body.read(exchange.dialect.file.limits.body)
        content_type = headers.get(b"content-type", b"")
        now = time.time_ns() // 1_000_000
        exchange.understand(
            Request(method, path, host, scope["query_string"], content_type, content),
            self._plan.accounts.identities,
            now,
            lambda: self._ids.new(now),
        )
        return await self._operation.send(exchange)


def log_exchange(exchange: Exchange, answer: Answer, seconds: float) -> None:
    """One line a request: whose, how many messages, what it was answered; no text, no phone, no secret."""
    sent = frozenset(exchange.fields.values) if exchange.fields else frozenset()
    log.info(
        "request",
        dialect=exchange.dialect.name,
        account=exchange.identity.account.name if exchange.identity else None,
        messages=len(exchange.messages),
        answer=str(exchange.refusal) if exchange.refusal else "accepted",
        ignored=_names(sent & exchange.dialect.ignored),
        unknown=_names(sent - exchange.dialect.known),
        ms=round(seconds * 1000, 1),
    )


def _names(names: frozenset[bytes]) -> list[str]:
    """A few names, shortened: they are the client's bytes."""
    return [name[:40].decode("utf-8", "backslashreplace") for name in sorted(names)[:10]]
