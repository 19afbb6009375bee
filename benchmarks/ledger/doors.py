"""The other side: SMSBAT and the partner's scripts, which survive every kill; each node has a door to them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from benchmarks.ledger.books import Books, Call
from benchmarks.ledger.places import Outside
from gateway.inbound.body import Receive, Send
from gateway.listener import bind, listening
from gateway.sandbox.smsbat import Sandbox, SandboxOptions
from gateway.settings import Address

#: Told when a node's request is there and its answer is not: that node may be killed now.
OnUnanswered = Callable[[Outside], None]
#: Where the SMSBAT login is that has no webhook.
ASKED = "/asked"


class Smsbats:
    """Two SMSBAT logins, one that tells by webhook and one that is to be asked; scripts are with the first."""

    def __init__(self, books: Books, latency: float) -> None:
        own, other = (SandboxOptions(limited=False, latency=latency, pace=0.01) for _ in range(2))
        self.told = Sandbox(own, on_told=lambda record: books.was_told(record["told"]))
        self.asked = Sandbox(other)

    async def close(self) -> None:
        """Tell nothing more."""
        for each in (self.told, self.asked):
            await each.teller.stop()


class Door:
    """One node's way to the others: its calls are written down, and it can be killed while it waits for an answer."""

    def __init__(self, node: int, smsbats: Smsbats, books: Books, on_unanswered: OnUnanswered) -> None:
        self._node = node
        self._smsbats = smsbats
        self._books = books
        self._on_unanswered = on_unanswered

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        path: str = scope["path"]
        asked = path.startswith(ASKED)
        app = self._smsbats.asked.app if asked else self._smsbats.told.app
        inner = {**scope, "path": path.removeprefix(ASKED)} if asked else scope
        if path.endswith("/messagelist"):
            await self._call(app, inner, receive, send)
        elif path.startswith("/partner/"):
            await app(inner, receive, self._before_answer(Outside.CALLBACK_UNANSWERED, send))
        else:
            await app(inner, receive, send)

    async def _call(self, app: Any, scope: Any, receive: Receive, send: Send) -> None:
        body, calls = bytearray(), list[Call]()

        async def overheard() -> Any:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def answer(message: Any) -> None:
            # The stand-in has taken the messages when it begins its answer.
            if message["type"] == "http.response.start" and message["status"] == 200:
                calls.append(self._books.took(self._node, bytes(body), time.monotonic()))
            await before(message)

        before = self._before_answer(Outside.CALL_UNANSWERED, send)
        await app(scope, overheard, answer)
        for call in calls:
            call.answered = time.monotonic()

    def _before_answer(self, place: Outside, send: Send) -> Send:
        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._on_unanswered(place)
            await send(message)

        return answer


@contextlib.asynccontextmanager
async def open_door(door: Door, address: Address) -> AsyncIterator[None]:
    """Serve a door while the block runs."""
    async with listening(door, [bind(address)]):
        yield
