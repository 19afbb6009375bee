"""Our own ceiling: the gateway's HTTP protocol, its parsing, checking and answering, without store and SMSBAT."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from gateway.clock import now_ms
from gateway.core.ids import MessageIds
from gateway.errors import Refusal
from gateway.inbound.body import Body, Receive, Send
from gateway.inbound.codes import draw_code
from gateway.inbound.form import read_form
from gateway.inbound.protocol import legacy_protocol
from gateway.inbound.turns import abreast
from gateway.listener import bind, listening
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange
from gateway.mapping.loader import Plan, load
from gateway.process import run_until_stopped
from gateway.wire.request_line import host_name
from tests.support.servers import MAPPINGS

_NO_PICTURES: dict[bytes, str] = {}


class Ceiling:
    """Understands every request and accepts it; nothing is kept, and nobody is told."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ids = MessageIds(os.urandom)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        body = Body(scope, receive)
        host = host_name(body.headers.get(b"host", b""))
        exchange = Exchange(self._plan.dialect_at(host, scope["path"]))
        try:
            answer = await self._answer(exchange, scope, host, body)
        except Refusal as refusal:
            answer = exchange.refuse(refusal)
        await abreast()
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, exchange: Exchange, scope: Any, host: str, body: Body) -> Answer:
        exchange.route(scope["method"], scope["path"], host)
        fields = await read_form(exchange.dialect, scope["query_string"], body, _no_files)
        await abreast()
        exchange.identify(fields, self._plan.accounts.identities)
        await abreast()
        exchange.check(_NO_PICTURES.get)
        await abreast()
        now = now_ms()
        exchange.build(now, lambda: self._ids.new(now), draw_code)
        await abreast()
        return exchange.accept()


def _no_files() -> Any:
    raise Refusal("unsupported", "file")


def main() -> None:
    """Serve with the demo's account."""
    plan = load([MAPPINGS, MAPPINGS / "demo"])
    bound = bind(f"127.0.0.1:{sys.argv[1]}")

    def answer(kind: str, host: str, path: str) -> Answer:
        return plan.dialect_at(host, path).refuse(Refusal(kind), None)

    async def program(stop: asyncio.Event) -> None:
        async with listening(Ceiling(plan), [bound], legacy_protocol(answer)):
            await stop.wait()

    run_until_stopped(program)


if __name__ == "__main__":
    main()
