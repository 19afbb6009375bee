"""One sender per SMSBAT login: batches what waits, keeps the limits, retries, and settles what SMSBAT said.

There is no timer. While calls are in flight, arriving messages gather, and the next call takes them all: an idle
gateway sends a single message at once, a busy one sends large calls. SMSBAT limits calls, not messages.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog

from gateway.core.budget import CallBudget
from gateway.core.messages import CREDENTIAL_OUTCOMES, Message, Outcome, Receipt, State
from gateway.core.retry import Breaker, backoff
from gateway.errors import StoreUnavailable
from gateway.mapping.accounts import Account, SmsbatLogin
from gateway.mapping.upstream import Sent, UpstreamPlan
from gateway.outbound.backlog import Backlog
from gateway.outbound.client import Answered, NoAnswer, SmsbatClient
from gateway.outbound.pending import Pending, Verdicts, may_have_gone_out
from gateway.store.messages import MessageStore, Settled

log = structlog.get_logger("gateway.sender")

#: Seconds that calls in flight may take to end when the gateway stops; after that their outcome is unknown.
STOP_TIMEOUT = 10.0
_DUPLICATE = Receipt(Outcome.ACCEPTED, detail="SMSBAT knew the id: an earlier call was taken")


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Sender:
    """Submits the messages of one SMSBAT login. Use from one event loop; ``start`` before anything else."""

    def __init__(
        self,
        login: SmsbatLogin,
        upstream: UpstreamPlan,
        accounts: Mapping[str, Account],
        store: MessageStore,
        dice: Callable[[], float] = random.random,
    ) -> None:
        settings = login.settings
        self.name = login.name
        self._settings = settings
        self._upstream = upstream
        self._accounts = accounts
        self._store = store
        self._dice = dice
        self._client = SmsbatClient(login, upstream.file.submit)
        self._budget = CallBudget(settings.calls_per_second, settings.burst, settings.calls_in_flight)
        self._breaker = Breaker()
        self._backlog = Backlog()
        self._calls: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._refused_for_rate = 0
        self._paused_until = 0.0
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Take up what an earlier run left on disk, and begin."""
        self._backlog.overflowed = True
        await self._refill()
        self._runner = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Let calls in flight end, and leave the rest on disk for the next start."""
        self._runner.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=STOP_TIMEOUT)
        await self._client.aclose()

    @property
    def backed_up(self) -> bool:
        """Whether new messages would wait on disk behind older ones."""
        return self._backlog.full

    async def submit(self, messages: Sequence[Message], account: Account) -> list[Receipt] | Receipt:
        """Queue stored messages and wait as long as the account says.

        Returns the receipts when they came in time. Otherwise accepted receipts, since delivery goes on; or, when the
        account wants a refusal and none of the messages can have gone out, one receipt that says why: they are
        withdrawn then.
        """
        verdicts = Verdicts(len(messages))
        pending = [Pending(message, account, verdicts) for message in messages]
        self._backlog.add(pending)
        self._changed.set()
        try:
            async with asyncio.timeout(account.wait):
                await verdicts.complete
        except TimeoutError:
            verdicts.awaited = False
            if account.refuse_on_timeout and await self._withdraw(pending):
                return verdicts.latest
        return verdicts.receipts

    async def _withdraw(self, pending: Sequence[Pending]) -> bool:
        """Take messages back, on disk too; false when SMSBAT may have one of them, or it can't be written down."""
        if may_have_gone_out(pending):
            return False
        for each in pending:
            each.withdrawn = True
        try:
            await self._store.settle([Settled(each.message.id, State.WITHDRAWN) for each in pending], now_ms())
        except StoreUnavailable:
            await self._reinstate(pending)
            return False
        self._backlog.forget(each.message.id for each in pending)
        return True

    async def _reinstate(self, pending: Sequence[Pending]) -> None:
        for each in pending:
            each.withdrawn = False
        self._backlog.forget(each.message.id for each in pending)
        self._backlog.overflowed = True
        self._changed.set()

    # Deciding when a call may go out

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._backlog.wants_more:
                await self._refill()
            while self._backlog and self._in_flight < self._settings.calls_in_flight:
                delay = self._delay()
                if delay > 0:
                    self._wake_after(delay)
                    break
                self._call_next()

    def _delay(self) -> float:
        now = time.monotonic()
        return max(self._breaker.delay(now), self._paused_until - now, self._budget.delay(now))

    def _wake_after(self, delay: float) -> None:
        """While a probe is out the delay is infinite: its end wakes the runner."""
        if delay != float("inf"):
            asyncio.get_running_loop().call_later(delay, self._changed.set)

    def _call_next(self) -> None:
        batch = self._unexpired(self._backlog.take(self._settings.messages_per_call))
        if not batch:
            return
        self._budget.take()
        self._breaker.called()
        self._in_flight += 1
        for pending in batch:
            pending.in_call = True
        self._spawn(self._call(batch))

    def _unexpired(self, batch: list[Pending]) -> list[Pending]:
        now = now_ms()
        expired = [pending for pending in batch if pending.message.expires_at <= now]
        if not expired:
            return batch
        self._spawn(self._settle([(pending, Settled(pending.message.id, State.EXPIRED)) for pending in expired]))
        return [pending for pending in batch if pending.message.expires_at > now]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _refill(self) -> None:
        """Read back what stayed on disk. A store in trouble is asked again later."""
        self._backlog.begin_refill()
        room = self._backlog.room
        try:
            found = await self._store.unsettled(self.name, room)
        except StoreUnavailable:
            self._backlog.end_refill([], exhausted=False)
            self._wake_after(1.0)
            return
        pending = [Pending(message, self._account_of(message), maybe_out=True) for message in found]
        self._backlog.end_refill(pending, exhausted=len(found) < room)
        self._changed.set()

    def _account_of(self, message: Message) -> Account:
        """Its account; an accepted message of an account that is gone by now still goes out."""
        known = self._accounts.get(message.account)
        return known or Account(message.account, self.name, self._settings.variant, "viber_promo", {}, 0, False)

    # One call and what follows from it

    async def _call(self, batch: list[Pending]) -> None:
        started = time.monotonic()
        try:
            items = [self._upstream.item(pending.message, pending.account) for pending in batch]
            result = await self._client.submit(self._upstream.body(items))
        except Exception:
            # A fault of ours must not lose the batch; halving and backing off keep it from spoiling the others.
            log.exception("a call failed in an unforeseen way", smsbat=self.name, messages=len(batch))
            result = NoAnswer(maybe_taken=True, reason="internal error")
        self._in_flight -= 1
        for pending in batch:
            pending.in_call = False
        settled = self._judge(batch, result)
        self._changed.set()
        self._log_call(batch, result, time.monotonic() - started)
        await self._settle(settled)

    def _judge(self, batch: list[Pending], result: Answered | NoAnswer) -> list[tuple[Pending, Settled]]:
        """What an answer settles; all else of the batch is queued again."""
        if isinstance(result, NoAnswer):
            return self._fail(batch, result.maybe_taken)
        if 200 <= result.status < 300:
            return self._read_receipts(batch, result.body)
        receipt = self._upstream.refusal(result.status, result.body)
        if receipt.outcome is Outcome.TEMPORARY:
            return self._fail(batch, maybe_taken=True)
        self._breaker.succeeded()
        if receipt.outcome is Outcome.RATE_LIMITED:
            return self._slow_down(batch, receipt, result.retry_after)
        self._refused_for_rate = 0
        return self._refuse(batch, receipt)

    def _read_receipts(self, batch: list[Pending], body: bytes) -> list[tuple[Pending, Settled]]:
        sent = [Sent(pending.message.id, pending.message.digits) for pending in batch]
        receipts = self._upstream.receipts(body, sent)
        if receipts is None:
            return self._fail(batch, maybe_taken=True)
        self._breaker.succeeded()
        self._refused_for_rate = 0
        return [self._settled(pending, receipt) for pending, receipt in zip(batch, receipts, strict=True)]

    def _settled(self, pending: Pending, receipt: Receipt) -> tuple[Pending, Settled]:
        if pending.maybe_out and self._upstream.says_duplicate(receipt):
            receipt = _DUPLICATE
        if receipt.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN):
            # On disk it is safe already, so the client need not wait for a second write. A refusal does wait: told
            # and then forgotten, it would go out after a restart.
            pending.maybe_out = True
            pending.tell(receipt)
        return pending, Settled.by(pending.message.id, receipt)

    def _fail(self, batch: list[Pending], maybe_taken: bool) -> list[tuple[Pending, Settled]]:
        """The call failed for now. All go again, with the same ids; a batch that failed while others pass is halved."""
        was_open = self._breaker.is_open
        self._breaker.failed(time.monotonic(), self._dice())
        for pending in batch:
            pending.maybe_out = pending.maybe_out or maybe_taken
            if maybe_taken and not was_open:
                pending.batch_cap = max(1, len(batch) // 2)
        if maybe_taken:
            self._back_off(batch)
        else:
            # Nothing was sent, so nothing is wrong with the messages: the breaker alone sets the pace.
            self._backlog.put_back(batch)
        return []

    def _slow_down(
        self, batch: list[Pending], receipt: Receipt, retry_after: float | None
    ) -> list[tuple[Pending, Settled]]:
        self._refused_for_rate += 1
        pause = backoff(self._refused_for_rate, self._dice()) if retry_after is None else retry_after
        self._paused_until = time.monotonic() + min(pause, 60.0)
        self._note(batch, receipt)
        self._backlog.put_back(batch)
        return []

    def _refuse(self, batch: list[Pending], receipt: Receipt) -> list[tuple[Pending, Settled]]:
        """A call refused as a whole: for one message of it, for all, or for the credential."""
        if receipt.outcome is Outcome.INVALID and len(batch) > 1:
            for pending in batch:
                pending.batch_cap = (len(batch) + 1) // 2
            self._backlog.put_back(batch)
            return []
        if receipt.outcome in CREDENTIAL_OUTCOMES:
            log.error("smsbat refuses the credential", smsbat=self.name, outcome=receipt.outcome.value)
            # Messages whose clients were told success already wait for the operator instead of being lost.
            self._back_off([pending for pending in batch if not pending.awaited])
            batch = [pending for pending in batch if pending.awaited]
        return [self._settled(pending, receipt) for pending in batch]

    def _back_off(self, batch: list[Pending]) -> None:
        """Queue them again after a pause. It grows for a message that fails alone; a batch is halved instead."""
        if not batch:
            return
        alone = len(batch) == 1
        batch[0].attempts += alone
        delay = backoff(batch[0].attempts if alone else 1, self._dice())
        asyncio.get_running_loop().call_later(delay, self._again, batch)

    def _again(self, batch: list[Pending]) -> None:
        self._backlog.put_back(batch)
        self._changed.set()

    def _note(self, batch: list[Pending], receipt: Receipt) -> None:
        for pending in batch:
            if pending.verdicts is not None:
                pending.verdicts.latest = receipt

    async def _settle(self, settled: list[tuple[Pending, Settled]]) -> None:
        """Write down where messages ended, however long the database takes, then tell who waits."""
        if not settled:
            return
        attempt = 0
        while not await self._stored([each for _, each in settled]):
            attempt += 1
            await asyncio.sleep(backoff(attempt, self._dice(), first=0.1, longest=5.0))
        for pending, each in settled:
            pending.tell(each.receipt or Receipt(Outcome.TEMPORARY))
        self._backlog.forget(pending.message.id for pending, _ in settled)
        if self._backlog.wants_more:
            self._changed.set()

    async def _stored(self, settled: list[Settled]) -> bool:
        try:
            await self._store.settle(settled, now_ms())
        except StoreUnavailable as error:
            log.error("receipts can't be stored yet", smsbat=self.name, messages=len(settled), error=str(error))
            return False
        return True

    def _log_call(self, batch: Sequence[Pending], result: Answered | NoAnswer, seconds: float) -> None:
        answer = result.status if isinstance(result, Answered) else result.reason
        log.info("smsbat call", smsbat=self.name, messages=len(batch), answer=answer, ms=round(seconds * 1000, 1))
