"""A stand-in partner: scripts that record what they are told, and misbehave by their address."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

#: Enough for any demo or test.
KEPT = 200_000
SLOW_SECONDS = 3.0


class Partner:
    """Every script of every partner. ``on_told`` is told of every request."""

    def __init__(self, on_told: Callable[[dict[str, Any]], None]) -> None:
        self._on_told = on_told
        self._told: list[dict[str, Any]] = []
        self._times: Counter[tuple[str, str]] = Counter()
        self.routes = [
            Route("/partner/{behaviour}", self._script, methods=["GET", "POST"]),
            Route("/partner/{behaviour}/{name:path}", self._script, methods=["GET", "POST"]),
            Route("/sandbox/partner", self._list),
        ]

    @property
    def told(self) -> list[dict[str, Any]]:
        """What scripts were told and took, oldest first. Any thread may ask."""
        return list(self._told)

    async def _script(self, request: Request) -> Response:
        body = (await request.body()).decode("utf-8", "replace")
        behaviour, told = request.path_params["behaviour"], body or request.url.query
        self._times[request.url.path, told] += 1
        status = await self._status(behaviour, self._times[request.url.path, told], request)
        self._record(request, told, status)
        headers = {"Location": "/partner/ok"} if status == 302 else {}
        return Response("OK", status, headers)

    def _record(self, request: Request, told: str, status: int) -> None:
        content_type = request.headers.get("content-type")
        seen = {"path": request.url.path, "method": request.method, "content_type": content_type}
        record = {**seen, "told": told, "answered": status}
        self._on_told(record)
        if len(self._told) < KEPT:
            self._told.append(record)

    @staticmethod
    async def _status(behaviour: str, times: int, request: Request) -> int:
        if behaviour == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if behaviour == "dead":
            while not await request.is_disconnected():
                await asyncio.sleep(0.2)
        if behaviour.startswith("flaky-"):
            return 500 if times <= int(behaviour.removeprefix("flaky-")) else 200
        if behaviour == "redirect":
            return 302
        return int(behaviour) if behaviour.isdigit() else 200

    async def _list(self, request: Request) -> Response:
        """What scripts were told, newest last."""
        return JSONResponse({"list": self._told})
