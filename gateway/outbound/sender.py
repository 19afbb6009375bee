"""One sender per SMSBAT login: takes messages, decides when the next call goes out, and tells who waits."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog

from gateway.clock import now_ms
from gateway.core.messages import Message, Receipt, State
from gateway.errors import StoreUnavailable
from gateway.mapping.accounts import Account, SmsbatLogin
from gateway.mapping.upstream import UpstreamPlan
from gateway.metrics import BUDGET, OLDEST, QUEUED
from gateway.outbound.alarm import Alarm
from gateway.outbound.backlog import Backlog
from gateway.outbound.calls import RETRY_DELAY, Calls, Queue
from gateway.outbound.condition import Condition
from gateway.outbound.deadlines import Deadlines
from gateway.outbound.judgement import out_of_time
from gateway.outbound.pace import Pace
from gateway.outbound.pending import Pending, Submission, may_have_gone_out
from gateway.outbound.reports import Reports
from gateway.points import STORED, Point, reach
from gateway.store.messages import MessageStore, Reading
from gateway.store.settled import Settled
from gateway.store.writer import Told

log = structlog.get_logger("gateway.sender")

#: Seconds that calls in flight may take to end when the gateway stops; after that their outcome is unknown.
STOP_TIMEOUT = 10.0
#: Seconds between looks whether everything is sent.
_LOOK = 0.05
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
        self._accounts = accounts
        self._store = store
        self._pace = Pace(settings, dice)
        self._backlog = Backlog()
        self._deadlines = Deadlines()
        self._is_finishing = False
        self._changed = asyncio.Event()
        queue = Queue(self._backlog, self._pace, self._changed)
        self._calls = Calls(login, upstream, store, reports, queue, dice)
        self._wake = Alarm(self._changed.set)
        self._held_due = Alarm(self._held_are_due)

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
        await self._calls.ended(self._calls.patience)

    async def stop(self) -> None:
        """Let calls in flight end, and leave the rest on disk for the next start."""
        self._runner.cancel()
        self._wake.stop()
        self._held_due.stop()
        await self._calls.ended(STOP_TIMEOUT)
        self._calls.close()

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
        written = await self._calls.settlement.stored(withdrawn) and self._store.is_sure
        if not written:
            self._calls.spawn(self._reinstate([each.message for each in pending]))
        self._calls.forget(pending)
        return written

    async def _reinstate(self, withdrawn: Sequence[Message]) -> None:
        """Their client is told success: it could not be written that they were taken back, or its answer was lost.

        A reading of the store brings them anew, the copies in memory are void.
        """
        await self._calls.settlement.reinstated(withdrawn)
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
        if batch:
            self._calls.begin(batch)

    def _unexpired(self, batch: list[Pending]) -> list[Pending]:
        now = now_ms()
        expired = [pending for pending in batch if pending.message.expires_at <= now]
        if not expired:
            return batch
        self._calls.settle([(pending, out_of_time(pending)) for pending in expired])
        return [pending for pending in batch if pending.message.expires_at > now]

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

    def tell(self) -> None:
        """Tell Prometheus how it stands."""
        oldest = self._backlog.oldest_due
        QUEUED.labels(self.name).set(self._backlog.held)
        OLDEST.labels(self.name).set(max(0, now_ms() - oldest) / 1000 if oldest else 0)
        self._calls.conditions.tell()
        BUDGET.labels(self.name).set(self._pace.budget(time.monotonic()))

    @property
    def condition(self) -> Condition:
        """How it stands with SMSBAT."""
        return self._calls.conditions.now
