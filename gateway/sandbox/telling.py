"""The sandbox tells of messages by itself, as SMSBAT does where a webhook is set."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import orjson

from gateway.outbound.web import WebAnswer, WebClient
from gateway.sandbox.behaviour import LIVELY, Fault, fault_of
from gateway.sandbox.ledger import end_of
from gateway.wire.forms import urlencoded

Item = dict[str, Any]
SEEN, REPLIES = LIVELY
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
#: SMSBAT's repeats are not documented; the sandbox repeats until it is heard, in seconds from one to the other.
_AGAIN, _LONGEST = 0.5, 4.0


class Teller:
    """Tells a webhook address of each message's end, and on demand of anything. Use from one event loop."""

    def __init__(self, pace: float, hook: str | None) -> None:
        self.hook = hook
        self._pace = pace
        self._web: WebClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def taken(self, message_id: int, item: Item) -> None:
        """A message was taken: its end will be told."""
        if self.hook is None or fault_of(item["to"]) is Fault.STUCK:
            return
        task = asyncio.create_task(self._tell_end(str(message_id), item))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell_end(self, message_id: str, item: Item) -> None:
        await asyncio.sleep(2 * self._pace)
        await self._until_heard({"messageId": message_id, "deliverystatus": end_of(item), "cost": 0.05})
        if item["to"].startswith((SEEN, REPLIES)):
            told = {"msg_id": item.get("customerMessageId"), "status": "delivered", "type": "seen"}
            await self._until_heard(told, form=True)
        if item["to"].startswith(REPLIES):
            words = {"alphaName": item["from"], "phoneNumber": item["to"], "text": f"Re: {item.get('text', '')}"}
            await self._until_heard({"idUuid": str(uuid.uuid4()), **words})

    async def _until_heard(self, told: Item, form: bool = False) -> None:
        pause = _AGAIN
        while await self.tell(told, form) != 200:
            await asyncio.sleep(pause)
            pause = min(_LONGEST, 2 * pause)

    async def tell(self, told: Item, form: bool = False) -> int:
        """Tell the webhook something; returns the status that it answered, 0 for none."""
        content = urlencoded(told).encode() if form else orjson.dumps(told)
        self._web = self._web or WebClient()
        answer = await self._web.send("POST", self.hook or "", True, _FORM if form else _JSON, content)
        return answer.status if isinstance(answer, WebAnswer) else 0

    async def stop(self) -> None:
        """Tell nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._web is not None:
            await self._web.aclose()
