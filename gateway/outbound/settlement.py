"""Where messages ended: written down however long the database takes, then told to who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from gateway.clock import now_ms
from gateway.core.messages import Message
from gateway.core.retry import backoff
from gateway.errors import RowRefused, StoreUnavailable
from gateway.outbound.pending import Pending
from gateway.outbound.reports import AT_ONCE, Reports
from gateway.points import Point, reach
from gateway.store.chunks import chunks
from gateway.store.messages import MessageStore
from gateway.store.settled import Settled

log = structlog.get_logger("gateway.sender")

Ends = list[tuple[Pending, Settled]]


class Settlement:
    """Of one SMSBAT login. ``hold_back`` is given the messages that are to be tried again after all."""

    def __init__(
        self,
        name: str,
        store: MessageStore,
        reports: Reports,
        hold_back: Callable[[list[Pending]], None],
        dice: Callable[[], float],
    ) -> None:
        self._name = name
        self._store = store
        self._reports = reports
        self._hold_back = hold_back
        self._dice = dice

    async def write(self, settled: Ends) -> list[Pending]:
        """Write down those that did not go out, and tell; returns those that are settled."""
        attempt = 0
        for pending, _ in settled:
            pending.settling = True
        while settled := self._still_to_settle(settled):
            if await self._told_when_stored(settled):
                return [pending for pending, _ in settled]
            attempt += 1
            await self._pause(attempt)
        return []

    async def write_taken(self, taken: Ends) -> None:
        """Write down those that SMSBAT has, or may have."""
        settled, attempt = [each for _, each in taken], 0
        while not await self.stored(settled):
            attempt += 1
            await self._pause(attempt)
        reach(Point.SETTLED)
        for pending, each in taken:
            # A request that began to wait meanwhile: a reading of the store had been quicker.
            if pending.verdicts is not None:
                pending.tell(each.verdict)

    async def stored(self, settled: list[Settled], owed: bool = False) -> bool:
        """Whether the database took it; with the reports that are ``owed`` for it."""
        try:
            if owed:
                self._reports.follow(await self._store.settle_failed(settled, now_ms(), self._reports.store))
            else:
                await self._store.settle(settled, now_ms())
        except RowRefused:
            # A value of SMSBAT's that the database can't hold: the state matters more than the details.
            return await self._stored_apart(settled, owed)
        except StoreUnavailable as error:
            log.error("the end of messages can't be stored yet", smsbat=self._name, error=str(error))
            return False
        return True

    async def reinstated(self, withdrawn: Sequence[Message]) -> None:
        """Write down that messages are to be submitted after all, however long it takes."""
        attempt = 0
        while True:
            try:
                await self._store.reinstate(withdrawn)
            except StoreUnavailable as error:
                log.error("messages can't be taken up again yet", smsbat=self._name, error=str(error))
                attempt += 1
                await self._pause(attempt)
            else:
                return

    async def _pause(self, attempt: int) -> None:
        await asyncio.sleep(backoff(attempt, self._dice(), first=0.1, longest=5.0))

    async def _told_when_stored(self, settled: Ends) -> bool:
        refused = [pending.verdicts for pending, each in settled if pending.verdicts and not each.went_out]
        for verdicts in refused:
            verdicts.writing(began=True)
        stored = await self._stored_with_reports(settled)
        if stored:
            reach(Point.SETTLED)
        for pending, each in settled if stored else ():
            if pending.verdicts is not None:
                pending.tell(each.verdict)
        for verdicts in refused:
            verdicts.writing(began=False)
        return stored

    def _still_to_settle(self, settled: Ends) -> Ends:
        """Without those refused for the credential whose client stopped waiting meanwhile: they were accepted."""
        held = [pending for pending, each in settled if each.for_the_credential and not pending.awaited]
        if not held:
            return settled
        for pending in held:
            pending.settling = False
        self._hold_back(held)
        return [(pending, each) for pending, each in settled if pending.settling]

    async def _stored_with_reports(self, settled: Ends) -> bool:
        """A client that waits is told of a failure in its answer, unless that is success; others are owed a report."""
        owed: list[Settled] = []
        others: list[Settled] = []
        for pending, each in settled:
            (owed if each.failure and not pending.is_told_of_refusals else others).append(each)
        for some in chunks(owed, AT_ONCE):
            if not await self.stored(some, owed=True):
                return False
        return not others or await self.stored(others)

    async def _stored_apart(self, settled: list[Settled], owed: bool) -> bool:
        if len(settled) > 1:
            return all([await self.stored([each], owed) for each in settled])
        if settled[0].receipt is None:
            return False
        return await self.stored([settled[0]._replace(receipt=None)], owed)
