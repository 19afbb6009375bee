"""Asks SMSBAT what became of messages, within its limit of reads, where it does not tell by itself."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from typing import TypeGuard

import structlog

from gateway.clock import now_ms
from gateway.core.budget import CallBudget
from gateway.core.lifecycle import FINAL, Report, Status
from gateway.core.retry import LONGEST_PAUSE, backoff
from gateway.errors import StoreUnavailable
from gateway.mapping.accounts import SmsbatLogin
from gateway.mapping.hooks import HookPlan, NotTold, UnknownStatus
from gateway.metrics import READS
from gateway.outbound.checks import GRACE, LONGEST, next_check
from gateway.outbound.client import Answered, NoAnswer, SmsbatClient
from gateway.outbound.reports import Reports
from gateway.outbound.works import EVERY_WORK, Works, polling
from gateway.points import Point, reach
from gateway.store.reports import Check

log = structlog.get_logger("gateway.poller")

#: Reads without an answer yet; at SMSBAT's limit of 50 a second an answer may take a third of a second.
IN_FLIGHT = 16
_PACE = 0.94
_BATCH = 100
#: Seconds between looks for messages that are due, and after trouble.
_PAUSE = 1.0
_TROUBLE = 5.0
#: Seconds that who asks ahead of others waits beyond what the limit of reads makes of it.
_PATIENCE = 15.0
#: Milliseconds after the time of a message of an earlier version, which did not say how long it is to be watched.
_UNSAID = 86_400_000 + GRACE
#: Milliseconds after a message's time, when it counts as over although SMSBAT could not be asked.
_OUTER_BOUND = 86_400_000
#: Statuses of an answer to who may not read.
_DENIED = (401, 403)


class Poller:
    """The status reads of one SMSBAT login."""

    def __init__(self, login: SmsbatLogin, hooks: HookPlan, reports: Reports, works: Works = EVERY_WORK) -> None:
        self._name = login.name
        self._hooks = hooks
        self._reports = reports
        self._works = works
        self._client = SmsbatClient(login, hooks.read_path)
        # One at a time, evenly, and a little slower than allowed: reads can bunch up on their way.
        self._rate = login.settings.reads_per_second * _PACE
        self._budget = CallBudget(self._rate, 1, IN_FLIGHT)
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._failures = 0
        self._pause_until = 0.0
        self._is_denied = False

    async def run(self) -> None:
        """Ask for as long as the gateway serves."""
        try:
            while True:
                await self._step()
        finally:
            for task in self._reading.values():
                task.cancel()
            await asyncio.gather(*self._reading.values(), return_exceptions=True)
            self._client.close()

    async def ask(self, checks: Sequence[Check]) -> None:
        """Ask about these messages now, ahead of all others; not for longer than SMSBAT takes when it answers."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE + len(checks) / self._rate):
                await self._ask_all(checks)

    async def _ask_all(self, checks: Sequence[Check]) -> None:
        for check in checks:
            if check.id not in self._reading:
                await self._look(check)
        asked = [self._reading[check.id] for check in checks if check.id in self._reading]
        if asked:
            await asyncio.wait(asked)

    async def _step(self) -> None:
        if not self._works.has(polling(self._name)):
            await asyncio.sleep(_PAUSE)
            return
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
        """Ask about one message, when the limits let it; of one that SMSBAT never named there is nothing to ask."""
        until = check.watch_until or check.expires_at + _UNSAID
        if check.upstream_id is None:
            await self._end(check) if now_ms() >= until else await self._again(check, until)
            return
        while (delay := self._delay()) > 0 or len(self._reading) >= IN_FLIGHT:
            await asyncio.sleep(max(delay, 0.02))
        if check.id in self._reading:
            # Somebody else asked meanwhile.
            return
        self._budget.take()
        self._reading[check.id] = asyncio.create_task(self._read(check, until))

    def _delay(self) -> float:
        now = time.monotonic()
        return max(self._budget.delay(now), self._pause_until - now)

    async def _read(self, check: Check, until: int) -> None:
        try:
            answer = await self._client.read(check.upstream_id or "")
            READS.labels(self._name, str(answer.status if isinstance(answer, Answered) else answer.reason)).inc()
            if self._is_answer(answer):
                await self._follow(check, until, self._told(check, answer))
            else:
                # Nothing is known: not even that its time is over, until long after.
                over = now_ms() >= until + _OUTER_BOUND
                await self._end(check) if over else await self._again(check, now_ms() + LONGEST)
        except StoreUnavailable as error:
            log.error("a status can't be stored yet", smsbat=self._name, error=str(error))
            await asyncio.sleep(_TROUBLE)
        except Exception:
            log.exception("a status read failed in an unforeseen way", smsbat=self._name)
            await asyncio.sleep(_TROUBLE)
        finally:
            del self._reading[check.id]

    def _is_answer(self, answer: Answered | NoAnswer) -> TypeGuard[Answered]:
        """Whether SMSBAT said something of the message; if not, it is left alone for a while."""
        if isinstance(answer, Answered) and answer.status in (200, 404):
            self._failures = 0
            self._heed(denied=False)
            return True
        if isinstance(answer, Answered) and answer.status in _DENIED:
            self._heed(denied=True)
        self._failures += 1
        asked = answer.retry_after if isinstance(answer, Answered) else None
        pause = max(min(asked or 0.0, LONGEST_PAUSE), backoff(self._failures, random.random()))  # noqa: S311
        self._pause_until = time.monotonic() + pause
        return False

    def _heed(self, denied: bool) -> None:
        """That SMSBAT refuses reads must not go unnoticed: in the end its messages count as undelivered."""
        if denied and not self._is_denied:
            log.error("smsbat refuses to say what became of messages", smsbat=self._name)
        elif self._is_denied and not denied:
            log.warning("smsbat says again what became of messages", smsbat=self._name)
        self._is_denied = denied

    async def _follow(self, check: Check, until: int, report: Report | None) -> None:
        final = report is not None and report.status in FINAL
        if report is not None:
            reach(Point.STATUS_READ)
            await self._reports.report([report], self._name)
        if not final and now_ms() >= until:
            await self._end(check)
        elif not final:
            await self._again(check, until)

    async def _end(self, check: Check) -> None:
        await self._reports.report([Report(Status.EXPIRED, now_ms(), id=check.id)], self._name)

    async def _again(self, check: Check, until: int) -> None:
        await self._reports.store.checked(check, next_check(check.sent_at, until, now_ms()))

    def _told(self, check: Check, answer: Answered) -> Report | None:
        """What SMSBAT says now; ``None`` when it says nothing that is understood."""
        if answer.status == 404:
            return None
        try:
            report = self._hooks.read(answer.body, now_ms())[0]
        except NotTold:
            log.warning("a status read told nothing known", smsbat=self._name)
            return None
        if not isinstance(report, Report):
            status = report.shown if isinstance(report, UnknownStatus) else "(none)"
            log.warning("a status is not known", smsbat=self._name, status=status)
            return None
        return Report(report.status, report.at, id=check.id, channel=report.channel, reason=report.reason)
