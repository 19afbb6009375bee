"""The other side: SMSBAT and the partner's scripts, which survive every kill."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.ledger.books import Books, Call
from benchmarks.ledger.places import Outside
from gateway.inbound.body import Receive, Send
from gateway.sandbox.smsbat import Sandbox, SandboxOptions

OnUnanswered = Callable[[int, Outside], None]
#: Where the SMSBAT login is that has no webhook.
ASKED = "asked/"


class Smsbats:
    """Two SMSBAT logins, one that tells by webhook and one that is to be asked; scripts are with the first."""

    def __init__(self, books: Books, latency: float, pace: float) -> None:
        own, other = (SandboxOptions(limited=False, latency=latency, pace=pace) for _ in range(2))
        self.told = Sandbox(own, on_told=lambda record: books.was_told(record["told"]))
        self.asked = Sandbox(other)

    async def close(self) -> None:
        """Tell nothing more."""
        for each in (self.told, self.asked):
            await each.teller.stop()


class Door:
    """The way to the others. Each life of a node has its own path, so that it is known whose a call is.

    ``on_unanswered`` is told of a life's request that is there and has no answer yet: it may be killed now.
    """

    def __init__(self, smsbats: Smsbats, books: Books, on_unanswered: OnUnanswered) -> None:
        self._smsbats = smsbats
        self._books = books
        self._on_unanswered = on_unanswered

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        life, _, path = scope["path"].lstrip("/").partition("/")
        asked = path.startswith(ASKED)
        app = self._smsbats.asked.app if asked else self._smsbats.told.app
        inner = {**scope, "path": "/" + path.removeprefix(ASKED)}
        if path.endswith("bat/messagelist"):
            await self._call(int(life), app, inner, receive, send)
        elif path.startswith("partner/"):
            await app(inner, receive, self._before_answer(int(life), Outside.CALLBACK_UNANSWERED, send))
        else:
            await app(inner, receive, send)

    async def _call(self, life: int, app: Any, scope: Any, receive: Receive, send: Send) -> None:
        body, calls = bytearray(), list[Call]()

        async def overheard() -> Any:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def answer(message: Any) -> None:
            # The stand-in has taken the messages when it begins its answer.
            if message["type"] == "http.response.start" and message["status"] == 200:
                calls.append(self._books.took(life, time.monotonic(), bytes(body)))
            await before(message)

        before = self._before_answer(life, Outside.CALL_UNANSWERED, send)
        await app(scope, overheard, answer)
        for call in calls:
            call.answered = time.monotonic()

    def _before_answer(self, life: int, place: Outside, send: Send) -> Send:
        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._on_unanswered(life, place)
            await send(message)

        return answer
