"""What SMSBAT tells of messages, however it comes: written down, and owed to partners."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from gateway.core.lifecycle import Reply, Report
from gateway.errors import StoreUnavailable
from gateway.outbound.callbacks import CallbackDispatcher
from gateway.store.reports import Applied, ReportStore

log = structlog.get_logger("gateway.reports")

#: Seconds between tries of reports that came before their receipts: those are on their way to the disk.
PAUSE = 1.0


class Reports:
    """Applies reports and replies, and wakes whom they are owed to. Methods raise ``StoreUnavailable``."""

    def __init__(self, store: ReportStore, dispatcher: CallbackDispatcher) -> None:
        self.store = store
        self._dispatcher = dispatcher
        # An earlier run may have left some.
        self._early = asyncio.Event()
        self._early.set()

    async def report(self, reports: Sequence[Report], smsbat: str) -> None:
        """SMSBAT told these facts under one of its logins."""
        self.follow(await self.store.apply(reports, smsbat))

    async def reply(self, reply: Reply, smsbat: str, account: str) -> None:
        """A subscriber wrote back."""
        self.follow(await self.store.reply(reply, smsbat, account))

    def follow(self, applied: Applied) -> None:
        """See to what followed from something that is written down."""
        if applied.early:
            self._early.set()
        self._dispatcher.wake(applied.owed)

    async def run(self) -> None:
        """Try early reports again for as long as there are any."""
        while True:
            await self._early.wait()
            self._early.clear()
            try:
                self.follow(await self.store.apply_early(time.time_ns() // 1_000_000))
            except StoreUnavailable as error:
                log.error("early reports can't be tried yet", error=str(error))
                self._early.set()
            await asyncio.sleep(PAUSE)
