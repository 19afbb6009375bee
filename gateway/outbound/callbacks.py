"""Callbacks go out: at least once, in order for each message, and one dead partner delays nobody else.

Every script has a worker of its own, which reads from the outbox what is due. Scripts on one host share its limit.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import structlog

from gateway import tracing
from gateway.clock import now_ms
from gateway.errors import StoreUnavailable
from gateway.mapping.callbacks import CallbackTarget
from gateway.metrics import CALLBACKS
from gateway.outbound.web import NoWebAnswer, WebAnswer, WebClient
from gateway.outbound.works import EVERY_WORK, Works, telling
from gateway.points import Point, reach
from gateway.store.callbacks import Callback, CallbackState, CallbackStore, Script

log = structlog.get_logger("gateway.callbacks")

#: Requests to one host and to one script at a time, and callbacks to one script held in memory.
PER_HOST, PER_SCRIPT = 8, 4
HELD = 64
#: Seconds after which the outbox is read again in any case: an operator may have put something back.
LONGEST_PAUSE = 8.0
#: The same among other nodes, whose reports may owe something to this one's scripts.
_AMONG_OTHERS = 1.0
#: Seconds that requests under way may take to end when the gateway stops; they are made again otherwise.
_STOP_TIMEOUT = 5.0
#: Seconds before a store in trouble is asked again.
_RETRY = 1.0
#: Statuses of an answer that mean that the partner has it; others among the schedule's stop codes mean that it won't.
_HAS_IT = range(200, 300)


class CallbackDispatcher:
    """Sends what is owed to these scripts. Use from one event loop."""

    def __init__(
        self,
        store: CallbackStore,
        targets: Iterable[CallbackTarget],
        web: WebClient,
        works: Works = EVERY_WORK,
        clock: Callable[[], int] = now_ms,
        dice: Callable[[], float] = random.random,
    ) -> None:
        common = _Common(store, web, _Slots(PER_HOST), works, clock, dice)
        self._workers = {
            Script(target.account, target.dialect, target.by_request): _Worker(target, common) for target in targets
        }

    def start(self) -> None:
        """Begin with what an earlier run left."""
        for worker in self._workers.values():
            worker.start()

    async def stop(self) -> None:
        """Stop; what is under way is sent again after the next start."""
        await asyncio.gather(*(worker.stop() for worker in self._workers.values()))

    def wake(self, owed: Iterable[Script]) -> None:
        """Something new is owed to these scripts."""
        for each in owed:
            if each in self._workers:
                self._workers[each].wake()


class _Slots:
    """So many requests at a time for each name; of names that nothing uses, nothing is kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, name: str) -> asyncio.Semaphore:
        """To be held while a request of this name is under way."""
        return self._used.setdefault(name, asyncio.Semaphore(self._most))


@dataclass(frozen=True, slots=True)
class _Common:
    """What all workers have. Scripts on one host share its limit."""

    store: CallbackStore
    web: WebClient
    hosts: _Slots
    works: Works
    clock: Callable[[], int]
    dice: Callable[[], float]


class _Worker:
    """One script's callbacks."""

    def __init__(self, target: CallbackTarget, common: _Common) -> None:
        self._target = target
        self._script = Script(target.account, target.dialect, target.by_request)
        self._common = common
        #: By address: those that requests name are scripts of their own.
        self._slots = _Slots(PER_SCRIPT)
        self._stopping = False
        #: By message, what is held for it, oldest first; the first one is being sent.
        self._chains: dict[str, deque[Callback]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._full = False
        self._changed = asyncio.Event()

    def start(self) -> None:
        self._runner = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Let requests under way end, and leave the rest for the next start."""
        self._stopping = True
        self._runner.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_TIMEOUT)
        tasks = [self._runner, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._take_what_is_due()
                pause = LONGEST_PAUSE if self._common.works.alone else _AMONG_OTHERS
            except StoreUnavailable as error:
                log.error("the outbox can't be read yet", account=self._target.account, error=str(error))
                pause = _RETRY
            except Exception:
                log.exception("a callback worker stumbled and goes on", account=self._target.account)
                pause = _RETRY
            await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _take_what_is_due(self) -> None:
        if not self._common.works.has(telling(self._script)):
            return
        held, before = [each.id for chain in self._chains.values() for each in chain], frozenset(self._chains)
        room = HELD - len(held)
        self._full = room <= 0
        if self._full:
            return
        due = await self._common.store.due(self._script, self._common.clock(), room, held)
        self._full = len(due) == room
        for callback in due:
            # Whose earlier one ended while this was read may have to wait for that: it is read again.
            if callback.message in before and callback.message not in self._chains:
                self._changed.set()
            else:
                self._hold(callback)

    def _hold(self, callback: Callback) -> None:
        chain = self._chains.setdefault(callback.message, deque())
        chain.append(callback)
        if len(chain) == 1:
            task = asyncio.create_task(self._deliver_in_order(callback.message, chain))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver_in_order(self, message: str, chain: deque[Callback]) -> None:
        """One message's callbacks; those behind one that is to be tried again wait with it."""
        held_others_back = chain[0].tries > 0
        try:
            while chain and await self._deliver(chain[0]) is not CallbackState.PENDING:
                chain.popleft()
        except StoreUnavailable as error:
            log.error("what a callback tells can't be read yet", account=self._target.account, error=str(error))
            await asyncio.sleep(_RETRY)
        except Exception:
            log.exception("the end of a callback failed in an unforeseen way", account=self._target.account)
            await asyncio.sleep(_RETRY)
        finally:
            del self._chains[message]
            # There may be more on disk than could be held. To read it takes as long as to tell dozens.
            has_room = self._full and len(self._chains) <= HELD // 2
            if has_room or chain or held_others_back:
                self._changed.set()

    async def _deliver(self, callback: Callback) -> CallbackState:
        url = callback.url or self._target.url
        async with self._slots.of(url), self._common.hosts.of(_host(url)):
            if self._stopping or not self._common.works.has(telling(self._script)):
                return CallbackState.PENDING
            reach(Point.CALLBACK_LEAVES)
            began = time.monotonic()
            answer = await self._sent(callback)
            reach(Point.CALLBACK_ANSWERED)
            if answer is not None:
                where = (callback.account, callback.dialect, callback.message)
                tracing.callback(*where, callback.tries + 1, _words(answer), began)
        return await self._finish(callback, answer)

    async def _sent(self, callback: Callback) -> WebAnswer | NoWebAnswer | None:
        """A fault of ours counts as a try: what is wrong with one callback must not be met with every second."""
        try:
            return await self._send(callback)
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("a callback failed in an unforeseen way", account=self._target.account)
            return NoWebAnswer("internal error")

    async def _send(self, callback: Callback) -> WebAnswer | NoWebAnswer | None:
        """The answer, or ``None`` when the mapping files have no form for it any more."""
        more = await self._common.store.details(callback)
        # What is told of a bulk request may be long.
        known = {"zone": self._target.zone, **more}
        tell = self._target.format.body
        body = await asyncio.to_thread(tell, callback.facts, known) if more else tell(callback.facts, known)
        if body is None:
            return None
        method, url, posted = self._target.request(body, callback.url)
        content_type, content = (posted.content_type, posted.content) if posted else (None, None)
        return await self._common.web.send(method, url, self._target.private, content_type, content)

    async def _finish(self, callback: Callback, answer: WebAnswer | NoWebAnswer | None) -> CallbackState:
        state, due_at = self._judged(callback, answer)
        outcome = _words(answer)
        CALLBACKS.labels(callback.account, callback.dialect, state).inc()
        log.info(
            "callback",
            account=callback.account,
            callback=callback.id,
            message=callback.message,
            answer=outcome,
            state=state,
            tries=callback.tries + 1,
        )
        while not await self._written(callback, state, due_at, outcome):
            await asyncio.sleep(_RETRY)
        reach(Point.CALLBACK_STRUCK_OFF)
        if state is CallbackState.PENDING:
            delay = min(LONGEST_PAUSE, max(0.0, (due_at - self._common.clock()) / 1000))
            asyncio.get_running_loop().call_later(delay, self.wake)
        return state

    async def _written(self, callback: Callback, state: CallbackState, due_at: int, outcome: str) -> bool:
        try:
            await self._common.store.finish(callback, state, due_at, outcome)
        except StoreUnavailable as error:
            log.error("the end of a callback can't be stored yet", callback=callback.id, error=str(error))
            return False
        return True

    def _judged(self, callback: Callback, answer: WebAnswer | NoWebAnswer | None) -> tuple[CallbackState, int]:
        if answer is None:
            return CallbackState.DONE, callback.due_at
        if isinstance(answer, WebAnswer) and answer.status in self._target.stop:
            has_it = answer.status in _HAS_IT
            return CallbackState.DONE if has_it else CallbackState.REFUSED, callback.due_at
        asked = answer.retry_after if isinstance(answer, WebAnswer) else None
        tries, now = callback.tries + 1, self._common.clock()
        following = self._target.schedule.next_try(callback.event_at, now, tries, self._common.dice(), asked)
        if following is None:
            log.error("a callback is given up", account=callback.account, callback=callback.id, tries=tries)
            return CallbackState.DEAD, callback.due_at
        return CallbackState.PENDING, following


def _host(url: str) -> str:
    """The host and port of an address. An earlier version took some that are none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def _words(answer: WebAnswer | NoWebAnswer | None) -> str:
    if answer is None:
        return "nothing to tell"
    return f"HTTP {answer.status}" if isinstance(answer, WebAnswer) else answer.reason
