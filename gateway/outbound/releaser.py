"""Lets go out what was held back: mailings that are due, in step with their senders, and messages instead of others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import structlog

from gateway.clock import now_ms
from gateway.errors import StoreUnavailable
from gateway.outbound.callbacks import CallbackDispatcher
from gateway.outbound.poller import Poller
from gateway.outbound.sender import Sender
from gateway.outbound.works import EVERY_WORK, RELEASES, Works
from gateway.points import Point, reach
from gateway.store.releases import Release, ReleaseStore

log = structlog.get_logger("gateway.releaser")

#: Seconds between steps: while something goes out, while its sender or its rate holds it up, while bulk requests are
#: open, and at most.
_AT_WORK, _HELD_UP, _OPEN, _LONGEST = 0.02, 0.2, 1.0, 30.0
_TROUBLE, _NOT_MINE = 2.0, 1.0


class Releaser:
    """Use from one event loop."""

    def __init__(
        self,
        store: ReleaseStore,
        senders: Mapping[str, Sender],
        pollers: Mapping[str, Poller],
        dispatcher: CallbackDispatcher,
        works: Works = EVERY_WORK,
    ) -> None:
        self._store = store
        self._senders = senders
        self._pollers = pollers
        self._dispatcher = dispatcher
        self._works = works
        self._changed: list[asyncio.Event] = []
        #: SMSBAT logins that are not configured, and were told of.
        self._missing: set[str] = set()

    def wake(self) -> None:
        """Something new is to go out, now or later."""
        for changed in self._changed:
            changed.set()

    async def run(self) -> None:
        """Work for as long as the gateway serves; each kind of work by itself, so that none can stop the others."""
        await asyncio.gather(
            self._keep_doing(self._mailings), self._keep_doing(self._follow_ups), self._keep_doing(self._bulks)
        )

    async def _keep_doing(self, step: Callable[[int], Awaitable[float]]) -> None:
        changed = asyncio.Event()
        self._changed.append(changed)
        while True:
            changed.clear()
            try:
                mine = self._works.has(RELEASES)
                pause = await step(now_ms()) if mine else _NOT_MINE
                # Another node may have been asked for something that this one is to let go out.
                pause = pause if self._works.alone else min(pause, _NOT_MINE)
            except StoreUnavailable as error:
                log.error("what is to go out later can't be read yet", error=str(error))
                pause = _TROUBLE
            except Exception:
                log.exception("the releaser stumbled and goes on")
                pause = _TROUBLE
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await changed.wait()

    async def _until_next(self, now: int) -> float:
        next_due = await self._store.next_due(now)
        return _LONGEST if next_due is None else min(_LONGEST, (next_due - now) / 1000)

    async def _mailings(self, now: int) -> float:
        """A little of each that is due: a large one does not hold up a small one."""
        due = await self._store.due(now)
        if not due:
            return await self._until_next(now)
        return _AT_WORK if any([await self._release(mailing, now) for mailing in due]) else _HELD_UP

    async def _release(self, mailing: Release, now: int) -> bool:
        """Whether some messages of a mailing went to their sender; it may have enough to do."""
        sender = self._senders.get(mailing.smsbat)
        if sender is None:
            if mailing.smsbat not in self._missing:
                self._missing.add(mailing.smsbat)
                log.error("a mailing waits for an SMSBAT login that is not configured", smsbat=mailing.smsbat)
            return False
        if sender.busy:
            return False
        reach(Point.MAILING_DUE)
        count = await self._store.release(mailing, now)
        reach(Point.MAILING_RELEASED)
        sender.released()
        return count > 0

    async def _follow_ups(self, now: int) -> float:
        """What is known of a message may be old: SMSBAT is asked once more before another one goes out instead."""
        for name, checks in (await self._store.firsts(now)).items():
            if name in self._pollers:
                await self._pollers[name].ask(checks)
        sent, is_more_due = await self._store.follow(now)
        for name in sent:
            if name in self._senders:
                self._senders[name].released()
        return _AT_WORK if is_more_due else await self._until_next(now)

    async def _bulks(self, now: int) -> float:
        owed, are_open = await self._store.tell_ended(now)
        if owed:
            reach(Point.BULK_OWED)
        self._dispatcher.wake(owed)
        return _OPEN if are_open else _LONGEST
