"""Lets go out what was held back: mailings that are due, in step with their senders, and messages instead of others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from gateway.clock import now_ms
from gateway.errors import StoreUnavailable
from gateway.outbound.callbacks import CallbackDispatcher
from gateway.outbound.sender import Sender
from gateway.store.releases import Release, ReleaseStore

log = structlog.get_logger("gateway.releaser")

#: Seconds between steps: while something goes out, while bulk requests are open, and at most.
_AT_WORK, _OPEN, _LONGEST = 0.02, 1.0, 30.0
_TROUBLE = 2.0


class Releaser:
    """Use from one event loop."""

    def __init__(self, store: ReleaseStore, senders: Mapping[str, Sender], dispatcher: CallbackDispatcher) -> None:
        self._store = store
        self._senders = senders
        self._dispatcher = dispatcher
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Something new is to go out, now or later."""
        self._changed.set()

    async def run(self) -> None:
        """Work for as long as the gateway serves."""
        while True:
            self._changed.clear()
            try:
                pause = await self._step()
            except StoreUnavailable as error:
                log.error("what is to go out later can't be read yet", error=str(error))
                pause = _TROUBLE
            except Exception:
                log.exception("the releaser stumbled and goes on")
                pause = _TROUBLE
            await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _step(self) -> float:
        """One look at everything; returns how long there is nothing to do."""
        now = now_ms()
        due = await self._store.due(now)
        # One after the other, a little of each: a large mailing does not hold up a small one.
        working = [await self._release(mailing, now) for mailing in due]
        for name in await self._store.follow(now):
            if name in self._senders:
                self._senders[name].released()
        owed, are_open = await self._store.tell_ended(now)
        self._dispatcher.wake(owed)
        if any(working):
            return _AT_WORK
        return await self._pause(now, _OPEN if are_open else _LONGEST)

    async def _pause(self, now: int, longest: float) -> float:
        next_due = await self._store.next_due()
        return longest if next_due is None or next_due <= now else min(longest, (next_due - now) / 1000)

    async def _release(self, mailing: Release, now: int) -> bool:
        """Some messages of a mailing, unless its sender has enough to do; whether there is more."""
        sender = self._senders.get(mailing.smsbat)
        if sender is None:
            log.error("a mailing waits for an SMSBAT login that is not configured", smsbat=mailing.smsbat)
            return False
        if not sender.busy:
            await self._store.release(mailing, now)
            sender.released()
        return True
