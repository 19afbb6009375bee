"""Calls to SMSBAT under one login, and what follows from how each ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from gateway import tracing
from gateway.clock import now_ms
from gateway.core.mailings import batch_name
from gateway.core.retry import backoff
from gateway.logs import IDS_TOLD
from gateway.mapping.accounts import SmsbatLogin
from gateway.mapping.upstream import UpstreamPlan
from gateway.metrics import count_call
from gateway.outbound.backlog import Backlog
from gateway.outbound.client import Answered, NoAnswer, SmsbatClient
from gateway.outbound.condition import Conditions
from gateway.outbound.judgement import Judgement, judge
from gateway.outbound.pace import Pace
from gateway.outbound.pending import Pending
from gateway.outbound.reports import Reports
from gateway.outbound.settlement import Ends, Settlement
from gateway.points import Point, reach
from gateway.store.messages import MessageStore

log = structlog.get_logger("gateway.sender")

#: Seconds before what failed by a fault of ours, or of the store, is tried again.
RETRY_DELAY = 1.0


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits, when the next call may go out, and what is set when there may be one to make."""

    backlog: Backlog
    pace: Pace
    changed: asyncio.Event


class Calls:
    """Makes them, and puts back into the queue what is to be sent again. Use from one event loop."""

    def __init__(
        self,
        login: SmsbatLogin,
        upstream: UpstreamPlan,
        store: MessageStore,
        reports: Reports,
        queue: Queue,
        dice: Callable[[], float],
    ) -> None:
        self._name = login.name
        self._upstream = upstream
        self._client = SmsbatClient(login, upstream.file.submit)
        self._pace = queue.pace
        self._backlog = queue.backlog
        self._changed = queue.changed
        self._dice = dice
        self._tasks: set[asyncio.Task[None]] = set()
        self._times_denied = 0
        self.conditions = Conditions(login.name)
        self.settlement = Settlement(login.name, store, reports, self._hold_back, dice)

    def begin(self, batch: list[Pending]) -> None:
        """One more, with these messages."""
        probe = self._pace.called(len(batch), time.monotonic())
        for pending in batch:
            pending.in_call = True
        self.spawn(self._call(batch, probe))

    def settle(self, settled: Ends) -> None:
        """Write down messages that did not go out."""
        self.spawn(self._settle(settled))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that is to be over before the sender stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self, pending: Iterable[Pending]) -> None:
        """Messages that are over take no room any more."""
        self._backlog.forget(each.message.id for each in pending)
        if self._backlog.wants_more:
            self._changed.set()

    async def ended(self, seconds: float) -> None:
        """Wait for what is under way, for so long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    @property
    def patience(self) -> float:
        """Seconds that a call may last."""
        return self._client.patience

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # One call and what follows from it

    async def _call(self, batch: list[Pending], probe: bool) -> None:
        started = time.monotonic()
        result, judgement = await self._submitted(batch)
        reach(Point.CALL_ANSWERED)
        seconds = time.monotonic() - started
        self._pace.ended(len(batch), seconds)
        for pending in batch:
            pending.in_call = False
        self._follow(judgement, probe)
        self._changed.set()
        answer = str(result.status if isinstance(result, Answered) else result.reason)
        self._tell(batch, judgement, answer, started, seconds)
        # Abreast: they go to the disk together.
        if judgement.settled:
            self.settle(judgement.settled)
        if judgement.taken:
            await self.settlement.write_taken(judgement.taken)
            self.forget([pending for pending, _ in judgement.taken])

    async def _submitted(self, batch: list[Pending]) -> tuple[Answered | NoAnswer, Judgement]:
        """Make the call and judge its end. A fault of ours must not lose the batch: it counts as an unknown outcome."""
        try:
            now = now_ms()
            items = [self._upstream.item(pending.message, pending.account, now) for pending in batch]
            reach(Point.CALL_LEAVES)
            result = await self._client.submit(self._upstream.body(items))
            return result, judge(self._upstream, batch, result, now_ms())
        except Exception:
            log.exception("a call failed in an unforeseen way", smsbat=self._name, messages=len(batch))
            fault = NoAnswer(maybe_taken=True, reason="internal error")
            return fault, judge(self._upstream, batch, fault, now_ms())

    def _tell(self, batch: list[Pending], judgement: Judgement, answer: str, started: float, seconds: float) -> None:
        self.conditions.learn(judgement, self._pace.is_held_back, answer)
        count_call(self._name, answer, len(batch), seconds)
        tracing.call(self._name, (pending.message for pending in batch), answer, started)
        ms = round(seconds * 1000, 1)
        log.info("smsbat call", smsbat=self._name, messages=len(batch), **_named(batch), answer=answer, ms=ms)

    def _follow(self, judgement: Judgement, probe: bool) -> None:
        """Set the pace by what was learnt, and queue again what is not settled."""
        delay = self._learn(judgement, probe)
        self._backlog.put_back(judgement.at_once)
        if judgement.later:
            self._again_after(delay, judgement.later)

    def _learn(self, judgement: Judgement, probe: bool) -> float:
        """Seconds that what is to be sent later waits. A fault of ours must not keep it from being sent at all."""
        try:
            self._pace.learn(judgement, probe, time.monotonic())
            return self._retry_delay(judgement) if judgement.later else 0.0
        except Exception:
            log.exception("nothing was learnt from the end of a call", smsbat=self._name)
            return RETRY_DELAY

    def _retry_delay(self, judgement: Judgement) -> float:
        """Grows for a message that fails alone, and for a credential that is refused; a batch was halved instead."""
        if judgement.denied:
            self._times_denied += 1
            return self._backoff(self._times_denied)
        self._times_denied = 0
        alone = len(judgement.later) == 1
        judgement.later[0].attempts += alone
        return self._backoff(judgement.later[0].attempts if alone else 1)

    def _backoff(self, attempt: int) -> float:
        return backoff(attempt, self._dice())

    def _again_after(self, delay: float, batch: list[Pending]) -> None:
        asyncio.get_running_loop().call_later(delay, self._again, batch)

    def _again(self, batch: list[Pending]) -> None:
        self._backlog.put_last(batch)
        self._changed.set()

    async def _settle(self, settled: Ends) -> None:
        self.forget(await self.settlement.write(settled))

    def _hold_back(self, held: list[Pending]) -> None:
        """Messages whose clients stopped waiting before it was known that SMSBAT refuses the credential."""
        self._again_after(self._backoff(max(1, self._times_denied)), held)


def _named(batch: Sequence[Pending]) -> dict[str, list[str]]:
    """The messages of a call, and the mailings that they are of, as the lines of their requests have them."""
    messages = [pending.message for pending in batch[:IDS_TOLD]]
    batches = {batch_name(each.account, each.batch) for each in messages if each.batch is not None}
    told = {"ids": [each.id for each in messages]}
    return {**told, "batches": sorted(batches)} if batches else told
