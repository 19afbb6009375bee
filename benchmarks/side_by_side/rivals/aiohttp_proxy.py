"""The same proxy with aiohttp as server and as client; nothing stored."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

from benchmarks.side_by_side.rivals.common import (
    CONNECTIONS,
    HEADERS,
    TIMEOUT,
    accepted,
    call,
    is_signed,
    new_id,
    receipt_of,
    refused,
)

_CLIENT = web.AppKey("client", aiohttp.ClientSession)


def build(smsbat: str) -> web.Application:
    """The application in front of an SMSBAT."""

    async def connected(app: web.Application) -> AsyncIterator[None]:
        connector, timeout = aiohttp.TCPConnector(limit=CONNECTIONS), aiohttp.ClientTimeout(TIMEOUT)
        session = aiohttp.ClientSession(smsbat, connector=connector, timeout=timeout, headers=HEADERS)
        async with session as app[_CLIENT]:
            yield

    async def send(request: web.Request) -> web.Response:
        return web.Response(text=await answer(request), content_type="text/xml")

    async def answer(request: web.Request) -> str:
        form = await request.post()
        if not is_signed(form):
            return refused(-2, "AUTH ERROR (sign)")
        message_id = new_id()
        try:
            async with request.app[_CLIENT].post("/bat/messagelist", json=call(form, message_id)) as told:
                upstream_id = receipt_of(told.status, await told.json())
        except (aiohttp.ClientError, TimeoutError):
            upstream_id = None
        return accepted(form, message_id) if upstream_id else refused(-4, "TEMPORARY ERROR")

    app = web.Application()
    app.cleanup_ctx.append(connected)
    app.router.add_post("/", send)
    return app


if __name__ == "__main__":
    web.run_app(
        build(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
