"""One sender per SMSBAT login: batches what waits, keeps the limits, retries, and settles what SMSBAT said."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from gateway import tracing
from gateway.clock import now_ms
from gateway.core.mailings import batch_name
from gateway.core.messages import Message, Receipt, State
from gateway.core.retry import backoff
from gateway.errors import StoreUnavailable
from gateway.logs import IDS_TOLD
from gateway.mapping.accounts import Account, SmsbatLogin
from gateway.mapping.upstream import UpstreamPlan
from gateway.metrics import BUDGET, OLDEST, QUEUED, count_call
from gateway.outbound.alarm import Alarm
from gateway.outbound.backlog import Backlog
from gateway.outbound.client import Answered, NoAnswer, SmsbatClient
from gateway.outbound.condition import Condition, Conditions
from gateway.outbound.deadlines import Deadlines
from gateway.outbound.judgement import Judgement, judge, out_of_time
from gateway.outbound.pace import Pace
from gateway.outbound.pending import Pending, Submission, may_have_gone_out
from gateway.outbound.reports import Reports
from gateway.outbound.settlement import Settlement
from gateway.points import STORED, Point, reach
from gateway.store.messages import MessageStore, Reading
from gateway.store.settled import Settled
from gateway.store.writer import Told

log = structlog.get_logger("gateway.sender")

#: Seconds that calls in flight may take to end when the gateway stops; after that their outcome is unknown.
STOP_TIMEOUT = 10.0
#: Seconds between looks whether everything is sent.
_LOOK = 0.05
#: Seconds before a runner that failed, or a store that could not be read, is tried again.
RETRY_DELAY = 1.0
#: Seconds after which the clock is asked again whether held messages are due.
LONGEST_ALARM = 60.0
#: Stores messages, and tells when they are on disk or why they are not.
Storing = Callable[[Told], None]
_BUSY_CALLS = 4
_NOTHING_READ = Reading([], exhausted=False)


class Sender:
    """Submits the messages of one SMSBAT login. Use from one event loop; ``start`` before anything else."""

    def __init__(
        self,
        login: SmsbatLogin,
        upstream: UpstreamPlan,
        accounts: Mapping[str, Account],
        store: MessageStore,
        reports: Reports,
        dice: Callable[[], float] = random.random,
    ) -> None:
        settings = login.settings
        self._loop = asyncio.get_running_loop()
        self.name = login.name
        self._settings = settings
        self._upstream = upstream
        self._accounts = accounts
        self._store = store
        self._reports = reports
        self._dice = dice
        self._client = SmsbatClient(login, upstream.file.submit)
        self._pace = Pace(settings, dice)
        self._backlog = Backlog()
        self._deadlines = Deadlines()
        self._tasks: set[asyncio.Task[None]] = set()
        self._times_denied = 0
        self._is_finishing = False
        self._conditions = Conditions(login.name)
        self._changed = asyncio.Event()
        self._wake = Alarm(self._changed.set)
        self._held_due = Alarm(self._held_are_due)
        self._settlement = Settlement(login.name, store, reports, self._hold_back, dice)

    async def start(self) -> None:
        """Take up what an earlier run left on disk, and begin."""
        self._backlog.stayed_on_disk()
        await self._refill()
        self._runner = asyncio.create_task(self._run())

    async def finish(self) -> None:
        """Before another one follows: submit what is in memory while SMSBAT takes it, and let all calls end.

        What is on disk is the other one's. A call that is cut off would be made again.
        """
        self._is_finishing = True
        until = time.monotonic() + STOP_TIMEOUT
        while time.monotonic() < until and self._backlog.held and self.condition is Condition.OK:
            await asyncio.sleep(_LOOK)
        self._runner.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._client.patience)

    async def stop(self) -> None:
        """Let calls in flight end, and leave the rest on disk for the next start."""
        self._runner.cancel()
        self._wake.stop()
        self._held_due.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT)
        self._client.close()

    @property
    def backed_up(self) -> bool:
        """Whether there is no room in memory for messages that may have to be withdrawn."""
        return self._backlog.crowded

    async def submit(
        self, messages: Sequence[Message], account: Account, deadline: float, storing: Storing | str
    ) -> list[Receipt] | Receipt:
        """Queue messages when they are stored, and wait for the verdicts until ``deadline`` (monotonic).

        ``storing`` stores them; of those that are stored already it is the node whose they are. Returns the receipts
        when they came in time. Otherwise receipts that count as accepted, since delivery goes on; or, when the account
        wants a refusal and none of the messages can have gone out, one receipt that says why: they are withdrawn then.
        Raises what the storing told.
        """
        submission = Submission(messages, account, deadline, self._loop.create_future())
        if isinstance(storing, str):
            self._queue(submission, storing)
        else:
            storing(partial(self._stored, submission, self._store.node))
        verdicts = submission.verdicts
        try:
            await verdicts.over
        finally:
            submission.waits.discard(verdicts)
        if not verdicts.known:
            await verdicts.give_up()
            if not verdicts.known and account.refuse_on_timeout and await self._withdraw(submission.pending):
                return verdicts.latest
        return verdicts.receipts

    def _stored(self, submission: Submission, node: str, failure: Exception | None) -> None:
        if failure is None:
            reach(STORED)
            self._queue(submission, node)
        else:
            submission.verdicts.fail(failure)

    def _queue(self, submission: Submission, node: str) -> None:
        # First of all: whatever goes wrong behind it, the client is not left waiting.
        submission.waits = self._deadlines.end(submission.verdicts, submission.deadline)
        if node != self._store.node:
            # Others counted that one as dead, and may have them by now.
            self._backlog.left_to_others(submission.pending)
            self._changed.set()
            return
        # What may have to be withdrawn must be in reach.
        anyhow = submission.account.refuse_on_timeout
        submission.pending = self._backlog.add(submission.pending, whatever_the_room=anyhow)
        self._changed.set()

    async def _withdraw(self, pending: Sequence[Pending]) -> bool:
        """Take messages back, on disk too; false when SMSBAT may have one of them, or it can't be written down.

        Those of a node that nobody believes in any more may be in a call of another one.
        """
        if may_have_gone_out(pending) or not self._store.is_sure:
            return False
        for each in pending:
            each.withdrawn = True
        withdrawn = [Settled.without(each.message, State.WITHDRAWN) for each in pending]
        written = await self._settlement.stored(withdrawn) and self._store.is_sure
        if not written:
            self._spawn(self._reinstate([each.message for each in pending]))
        self._forget(pending)
        return written

    async def _reinstate(self, withdrawn: Sequence[Message]) -> None:
        """Their client is told success: it could not be written that they were taken back, or its answer was lost.

        A reading of the store brings them anew, the copies in memory are void.
        """
        await self._settlement.reinstated(withdrawn)
        self._backlog.stayed_on_disk()
        self._changed.set()

    def share(self, among: int) -> None:
        """So many nodes call under this login."""
        self._pace.divide(among)

    def start_over(self) -> None:
        """Nobody believed that this node is there: what it had, others may have by now."""
        self._backlog.start_over()
        self.released()

    def released(self) -> None:
        """Messages on disk have become due without being submitted here."""
        self._backlog.reading_wanted = True
        self._changed.set()

    @property
    def busy(self) -> bool:
        """Whether it has as many messages as a few calls take; single ones are to find room behind them."""
        few_calls = _BUSY_CALLS * self._settings.messages_per_call
        return self._is_finishing or self._backlog.held > min(few_calls, self._backlog.room // _BUSY_CALLS)

    def hold(self, messages: Sequence[Message]) -> None:
        """Stored messages that are due later: they stay on disk until then."""
        self._expect(messages[0].due_at)

    def _expect(self, due_at: int | None) -> None:
        """Read the store when the next held message is due."""
        if due_at is not None:
            # The wall clock may be set meanwhile, so that the alarm asks it again from time to time.
            self._held_due.ring_after(min(max(0.0, (due_at - now_ms()) / 1000), LONGEST_ALARM))

    def _held_are_due(self) -> None:
        reach(Point.DELAYED_DUE)
        self.released()

    def _forget(self, pending: Iterable[Pending]) -> None:
        self._backlog.forget(each.message.id for each in pending)
        if self._backlog.wants_more:
            self._changed.set()

    # Deciding when a call may go out

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._step()
            except Exception:
                log.exception("the sender stumbled and goes on", smsbat=self.name)
                self._wake_after(RETRY_DELAY)

    async def _step(self) -> None:
        """Make the calls that may be made now."""
        if not self._store.is_sure:
            self._wake_after(RETRY_DELAY)
            return
        if self._backlog.wants_more and not self._is_finishing:
            await self._refill()
        while self._backlog and self._store.is_sure:
            delay = self._pace.delay(len(self._backlog), time.monotonic())
            if delay > 0:
                self._wake_after(delay)
                return
            self._call_next()

    def _wake_after(self, delay: float) -> None:
        """Infinite while calls are out whose end wakes the runner."""
        if delay != float("inf"):
            self._wake.ring_after(delay)

    def _call_next(self) -> None:
        batch = self._unexpired(self._backlog.take(self._pace.share(len(self._backlog))))
        if not batch:
            return
        probe = self._pace.called(len(batch), time.monotonic())
        for pending in batch:
            pending.in_call = True
        self._spawn(self._call(batch, probe))

    def _unexpired(self, batch: list[Pending]) -> list[Pending]:
        now = now_ms()
        expired = [pending for pending in batch if pending.message.expires_at <= now]
        if not expired:
            return batch
        self._spawn(self._settle([(pending, out_of_time(pending)) for pending in expired]))
        return [pending for pending in batch if pending.message.expires_at > now]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refill(self) -> None:
        """Read back what stayed on disk. A store in trouble is asked again later."""
        self._backlog.begin_refill()
        # One moment for both: what becomes due in between would be neither read nor expected.
        found, node, now = _NOTHING_READ, self._store.node, now_ms()
        try:
            found = await self._store.unsettled(self.name, now, self._backlog.room)
            self._expect(await self._store.next_due(self.name, now))
        except StoreUnavailable as error:
            log.error("what waits on disk can't be read yet", smsbat=self.name, error=str(error))
            self._wake_after(RETRY_DELAY)
        finally:
            if node != self._store.node:
                # Read under a name that others have taken over from meanwhile.
                found = _NOTHING_READ
            pending = [
                Pending(message, self._account_of(message), maybe_out=message.id in found.taken_over)
                for message in found.messages
            ]
            reach(Point.READ_BACK)
            self._backlog.end_refill(pending, found.exhausted)
        self._changed.set()

    def _account_of(self, message: Message) -> Account:
        """Its account; an accepted message of an account that is gone by now, or has moved, still goes out here."""
        known = self._accounts.get(message.account)
        if known is None:
            return Account(message.account, self.name, self._settings.variant, "viber_promo", {}, 0, False)
        return known if known.smsbat == self.name else dataclasses.replace(known, variant=self._settings.variant)

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
        answer = result.status if isinstance(result, Answered) else result.reason
        self._conditions.learn(judgement, self._pace.is_held_back, str(answer))
        count_call(self.name, str(answer), len(batch), seconds)
        tracing.call(self.name, (pending.message for pending in batch), str(answer), started)
        ms = round(seconds * 1000, 1)
        log.info("smsbat call", smsbat=self.name, messages=len(batch), **_named(batch), answer=answer, ms=ms)
        # Abreast: they go to the disk together.
        if judgement.settled:
            self._spawn(self._settle(judgement.settled))
        if judgement.taken:
            await self._settlement.write_taken(judgement.taken)
            self._forget([pending for pending, _ in judgement.taken])

    def tell(self) -> None:
        """Tell Prometheus how it stands."""
        oldest = self._backlog.oldest_due
        QUEUED.labels(self.name).set(self._backlog.held)
        OLDEST.labels(self.name).set(max(0, now_ms() - oldest) / 1000 if oldest else 0)
        self._conditions.tell()
        BUDGET.labels(self.name).set(self._pace.budget(time.monotonic()))

    @property
    def condition(self) -> Condition:
        """How it stands with SMSBAT."""
        return self._conditions.now

    async def _submitted(self, batch: list[Pending]) -> tuple[Answered | NoAnswer, Judgement]:
        """Make the call and judge its end. A fault of ours must not lose the batch: it counts as an unknown outcome."""
        try:
            now = now_ms()
            items = [self._upstream.item(pending.message, pending.account, now) for pending in batch]
            reach(Point.CALL_LEAVES)
            result = await self._client.submit(self._upstream.body(items))
            return result, judge(self._upstream, batch, result, now_ms())
        except Exception:
            log.exception("a call failed in an unforeseen way", smsbat=self.name, messages=len(batch))
            fault = NoAnswer(maybe_taken=True, reason="internal error")
            return fault, judge(self._upstream, batch, fault, now_ms())

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
            log.exception("nothing was learnt from the end of a call", smsbat=self.name)
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
        self._loop.call_later(delay, self._again, batch)

    def _again(self, batch: list[Pending]) -> None:
        self._backlog.put_last(batch)
        self._changed.set()

    async def _settle(self, settled: list[tuple[Pending, Settled]]) -> None:
        self._forget(await self._settlement.write(settled))

    def _hold_back(self, held: list[Pending]) -> None:
        """Messages whose clients stopped waiting before it was known that SMSBAT refuses the credential."""
        self._again_after(self._backoff(max(1, self._times_denied)), held)


def _named(batch: Sequence[Pending]) -> dict[str, list[str]]:
    """The messages of a call, and the mailings that they are of, as the lines of their requests have them."""
    messages = [pending.message for pending in batch[:IDS_TOLD]]
    batches = {batch_name(each.account, each.batch) for each in messages if each.batch is not None}
    told = {"ids": [each.id for each in messages]}
    return {**told, "batches": sorted(batches)} if batches else told
