"""The operator's application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def _healthz(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def operator_app() -> Starlette:
    """``/healthz`` answers 200 while the process serves."""
    return Starlette(routes=[Route("/healthz", _healthz)])
