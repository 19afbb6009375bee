"""Asks SMSBAT what became of messages, within its limit of reads, where it does not tell by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import structlog

from gateway.core.budget import CallBudget
from gateway.core.lifecycle import FINAL, Report, Status
from gateway.errors import StoreUnavailable
from gateway.mapping.accounts import Account, SmsbatLogin
from gateway.mapping.hooks import HookPlan, NotTold
from gateway.outbound.checks import GRACE, next_check
from gateway.outbound.client import Answered, SmsbatClient
from gateway.outbound.reports import Reports
from gateway.store.reports import Check

log = structlog.get_logger("gateway.poller")

#: Reads without an answer yet; at SMSBAT's limit of 50 a second an answer may take a third of a second.
IN_FLIGHT = 16
_BATCH = 100
#: Seconds between looks for messages that are due, and after trouble.
_PAUSE = 1.0
_TROUBLE = 5.0


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Poller:
    """The status reads of one SMSBAT login."""

    def __init__(self, login: SmsbatLogin, hooks: HookPlan, accounts: Mapping[str, Account], reports: Reports) -> None:
        self._name = login.name
        self._hooks = hooks
        self._accounts = accounts
        self._reports = reports
        self._client = SmsbatClient(login, hooks.read_path, IN_FLIGHT)
        # One at a time, evenly: a burst at SMSBAT's limit would be over it.
        self._budget = CallBudget(login.settings.reads_per_second, 1, IN_FLIGHT)
        self._reading: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Ask for as long as the gateway serves."""
        try:
            while True:
                await self._step()
        finally:
            for task in self._reading.values():
                task.cancel()
            await asyncio.gather(*self._reading.values(), return_exceptions=True)
            await self._client.aclose()

    async def _step(self) -> None:
        try:
            due = await self._reports.store.checks(self._name, now_ms(), _BATCH, [*self._reading])
            for check in due:
                await self._look(check)
        except StoreUnavailable as error:
            log.error("messages to ask about can't be read yet", smsbat=self._name, error=str(error))
            due = []
        except Exception:
            log.exception("the poller stumbled and goes on", smsbat=self._name)
            due = []
        if len(due) < _BATCH:
            await asyncio.sleep(_PAUSE)

    async def _look(self, check: Check) -> None:
        """Ask about one message, or see that its time is over."""
        account = self._accounts.get(check.account)
        over = now_ms() >= check.expires_at + GRACE
        if check.upstream_id is None or (account is not None and account.hooked):
            if over:
                await self._reports.report([Report(Status.EXPIRED, now_ms(), id=check.id)], self._name)
            else:
                await self._reports.store.checked(check, check.expires_at + GRACE)
            return
        while (delay := self._budget.delay(time.monotonic())) > 0 or len(self._reading) >= IN_FLIGHT:
            await asyncio.sleep(max(delay, 0.005))
        self._budget.take()
        self._reading[check.id] = asyncio.create_task(self._read(check, over))

    async def _read(self, check: Check, over: bool) -> None:
        try:
            report = await self._asked(check)
            if over and (report is None or report.status not in FINAL):
                report = Report(Status.EXPIRED, now_ms(), id=check.id)
            if report is not None:
                await self._reports.report([report], self._name)
            if report is None or report.status not in FINAL:
                now = now_ms()
                await self._reports.store.checked(check, next_check(check.sent_at, check.expires_at, now))
        except StoreUnavailable as error:
            log.error("a status can't be stored yet", smsbat=self._name, error=str(error))
            await asyncio.sleep(_TROUBLE)
        except Exception:
            log.exception("a status read failed in an unforeseen way", smsbat=self._name)
            await asyncio.sleep(_TROUBLE)
        finally:
            del self._reading[check.id]

    async def _asked(self, check: Check) -> Report | None:
        """What SMSBAT says now; ``None`` when it says nothing that is understood."""
        answer = await self._client.read(check.upstream_id or "")
        if not isinstance(answer, Answered) or answer.status != 200:
            return None
        try:
            told = self._hooks.read(b"application/json", answer.body, now_ms())
        except NotTold:
            log.warning("a status read told nothing known", smsbat=self._name)
            return None
        report = told[0] if told else None
        if not isinstance(report, Report):
            log.warning("a status is not known", smsbat=self._name, status=str(getattr(report, "word", ""))[:40])
            return None
        return Report(report.status, report.at, id=check.id, channel=report.channel, reason=report.reason)
