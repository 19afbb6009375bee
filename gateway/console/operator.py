"""The operator's application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.metrics import exposition

#: What there is to say of this process: whether it is ready, and why not.
Condition = Callable[[], tuple[bool, Mapping[str, Any]]]


#: Loads the mapping files anew; returns what is wrong with them.
Reload = Callable[[], Awaitable[str | None]]


def operator_app(condition: Condition, reload: Reload) -> Starlette:
    """``/healthz`` answers 200 while it serves, ``/readyz`` while it can take messages; ``/metrics`` for Prometheus.

    POST ``/reload`` uses the mapping files as they are now, or says with 422 what is wrong with them.
    """

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        ready, details = condition()
        return JSONResponse({"status": "ready" if ready else "not ready", **details}, 200 if ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def reload_files(_request: Request) -> Response:
        problem = await reload()
        return JSONResponse({"problem": problem}, 422) if problem else JSONResponse({"status": "loaded"})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/reload", reload_files, methods=["POST"]),
        ]
    )
