"""The proxy that most would write: Starlette, httpx, one call for each message, nothing stored."""

from __future__ import annotations

import os
import sys

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.side_by_side.rivals.common import (
    accepted,
    call,
    httpx_client,
    is_signed,
    new_id,
    receipt_of,
    refused,
    serve,
)


def build(smsbat: str) -> Starlette:
    """The application in front of an SMSBAT."""
    client = httpx_client(smsbat)

    async def send(request: Request) -> Response:
        return Response(await answer(request), media_type="text/xml")

    async def answer(request: Request) -> str:
        form = await request.form()
        if not is_signed(form):
            return refused(-2, "AUTH ERROR (sign)")
        message_id = new_id()
        try:
            told = await client.post("/bat/messagelist", json=call(form, message_id))
        except httpx.HTTPError:
            return refused(-4, "TEMPORARY ERROR")
        if receipt_of(told.status_code, told.json()) is None:
            return refused(-4, "TEMPORARY ERROR")
        return accepted(form, message_id)

    return Starlette(routes=[Route("/", send, methods=["POST"])])


def app() -> Starlette:
    """For ``uvicorn --factory``, with several workers: SMSBAT's address is in the environment."""
    return build(os.environ["SMSBAT"])


if __name__ == "__main__":
    serve(build(sys.argv[2]))
