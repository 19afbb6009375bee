"""What SMSBAT tells of messages, however it comes: written down, and owed to partners."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

import structlog

from gateway.clock import now_ms
from gateway.core.lifecycle import Reply, Report
from gateway.errors import StoreUnavailable
from gateway.metrics import REPLIES, REPORTS
from gateway.outbound.callbacks import CallbackDispatcher
from gateway.store.chunks import chunks
from gateway.store.reports import Applied, ReportStore

log = structlog.get_logger("gateway.reports")

#: Seconds between tries of reports that came before their receipts: those are on their way to the disk.
PAUSE = 1.0
#: The same when nothing came of it: some are of messages that other software sends under the same login.
LONGEST_PAUSE = 30.0
#: Reports in one transaction: everybody who sends waits for it.
AT_ONCE = 100


class Reports:
    """Applies reports and replies, and wakes whom they are owed to. Methods raise ``StoreUnavailable``."""

    def __init__(self, store: ReportStore, dispatcher: CallbackDispatcher) -> None:
        self.store = store
        self._dispatcher = dispatcher
        # An earlier run may have left some.
        self._early = asyncio.Event()
        self._early.set()
        self._arrivals = 0
        self._later: set[asyncio.Task[None]] = set()

    async def report(self, reports: Sequence[Report], smsbat: str, account: str | None = None) -> None:
        """SMSBAT told these facts under one of its logins, by the webhook of an account if one is named."""
        for some in chunks(reports, AT_ONCE):
            applied = await self.store.apply(some, smsbat, account)
            for report in some:
                REPORTS.labels(smsbat, report.status).inc()
            self._arrivals += applied.early
            self.follow(applied)

    async def report_surely(self, reports: Sequence[Report], smsbat: str) -> None:
        """The same, later if the database does not take it now: what it follows can't be undone."""
        try:
            await self.report(reports, smsbat)
        except StoreUnavailable as error:
            log.error("reports can't be stored yet", count=len(reports), error=str(error))
            task = asyncio.create_task(self._keep_reporting(reports, smsbat))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def _keep_reporting(self, reports: Sequence[Report], smsbat: str) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            with contextlib.suppress(StoreUnavailable):
                await self.report(reports, smsbat)
                return

    async def reply(self, reply: Reply, smsbat: str, account: str) -> None:
        """A subscriber wrote back."""
        self.follow(await self.store.reply(reply, smsbat, account))
        REPLIES.labels(smsbat).inc()

    def follow(self, applied: Applied) -> None:
        """See to what followed from something that is written down."""
        if applied.early:
            self._early.set()
        self._dispatcher.wake(applied.owed)

    async def run(self) -> None:
        """Try early reports again for as long as there are any; most wait for no more than a moment."""
        pause = PAUSE
        while True:
            # Another node that had some may be gone.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_PAUSE):
                    await self._early.wait()
            self._early.clear()
            known = self._arrivals
            in_vain = await self._try_early()
            has_new = await self._wait(pause if in_vain else PAUSE, known)
            pause = min(LONGEST_PAUSE, pause * 2) if in_vain and not has_new else PAUSE

    async def _try_early(self) -> bool:
        """Whether there are some, and nothing came of any of them."""
        try:
            applied = await self.store.apply_early(now_ms())
        except StoreUnavailable as error:
            log.error("early reports can't be tried yet", error=str(error))
            self._early.set()
            return True
        self.follow(applied)
        return bool(applied.early) and not applied.caught_up

    async def _wait(self, seconds: float, known: int) -> bool:
        """Whether more came than were ``known``: those are not kept waiting for the old ones of somebody else."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._arrivals == known:
            await asyncio.sleep(PAUSE)
        return self._arrivals != known
