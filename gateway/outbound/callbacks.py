"""Callbacks go out: at least once, in order for each message, and one dead partner delays nobody else.

Every script has a worker of its own, which reads from the outbox what is due. Scripts on one host share its limit.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import structlog

from gateway.errors import StoreUnavailable
from gateway.mapping.callbacks import CallbackTarget
from gateway.outbound.web import NoWebAnswer, WebAnswer, WebClient
from gateway.store.callbacks import Callback, CallbackState, CallbackStore

log = structlog.get_logger("gateway.callbacks")

#: Requests to one host at a time, and callbacks to one script held in memory.
PER_HOST = 8
HELD = 64
#: Seconds after which the outbox is read again in any case: an operator may have put something back.
LONGEST_PAUSE = 5.0
#: Seconds before a store in trouble is asked again.
_RETRY = 1.0
#: Statuses of an answer that mean that the partner has it; others among the schedule's stop codes mean that it won't.
_HAS_IT = range(200, 300)


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class CallbackDispatcher:
    """Sends what is owed to these scripts. Use from one event loop."""

    def __init__(
        self,
        store: CallbackStore,
        targets: Iterable[CallbackTarget],
        web: WebClient,
        clock: Callable[[], int] = now_ms,
        dice: Callable[[], float] = random.random,
    ) -> None:
        hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(PER_HOST))
        self._workers = {
            (target.account, target.dialect): _Worker(
                store, target, web, hosts[urlsplit(target.url).netloc.rpartition("@")[2].lower()], clock, dice
            )
            for target in targets
        }

    def start(self) -> None:
        """Begin with what an earlier run left."""
        for worker in self._workers.values():
            worker.start()

    async def stop(self) -> None:
        """Stop; what is under way is sent again after the next start."""
        await asyncio.gather(*(worker.stop() for worker in self._workers.values()))

    def wake(self, owed: Iterable[tuple[str, str]]) -> None:
        """Something new is owed to these scripts."""
        for each in owed:
            if each in self._workers:
                self._workers[each].wake()


class _Worker:
    """One script's callbacks."""

    def __init__(
        self,
        store: CallbackStore,
        target: CallbackTarget,
        web: WebClient,
        host: asyncio.Semaphore,
        clock: Callable[[], int],
        dice: Callable[[], float],
    ) -> None:
        self._store = store
        self._target = target
        self._web = web
        self._host = host
        self._clock = clock
        self._dice = dice
        self._held: dict[int, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    def start(self) -> None:
        self._runner = asyncio.create_task(self._run())

    async def stop(self) -> None:
        tasks = [self._runner, *self._held.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                pause = await self._take_what_is_due()
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

    async def _take_what_is_due(self) -> float:
        """Start what is due; returns the seconds until there may be more."""
        account, dialect, room = self._target.account, self._target.dialect, HELD - len(self._held)
        if room <= 0:
            return LONGEST_PAUSE
        due = await self._store.due(account, dialect, self._clock(), room, [*self._held])
        for callback in due:
            self._held[callback.id] = asyncio.create_task(self._deliver(callback))
        if len(due) == room or self._held:
            return LONGEST_PAUSE
        following = await self._store.next_due(account, dialect)
        return LONGEST_PAUSE if following is None else min(LONGEST_PAUSE, max(0.0, (following - self._clock()) / 1000))

    async def _deliver(self, callback: Callback) -> None:
        try:
            async with self._host:
                answer = await self._send(callback)
            await self._finish(callback, answer)
        except Exception:
            log.exception("a callback failed in an unforeseen way", account=callback.account, callback=callback.id)
            await asyncio.sleep(_RETRY)
        finally:
            del self._held[callback.id]
            self._changed.set()

    async def _send(self, callback: Callback) -> WebAnswer | NoWebAnswer | None:
        """The answer, or ``None`` when the mapping files have no form for it any more."""
        body = self._target.format.body(callback.facts)
        if body is None:
            return None
        method, url, posted = self._target.request(body)
        content_type, content = (posted.content_type, posted.content) if posted else (None, None)
        return await self._web.send(method, url, self._target.private, content_type, content)

    async def _finish(self, callback: Callback, answer: WebAnswer | NoWebAnswer | None) -> None:
        state, due_at = self._judged(callback, answer)
        outcome = _words(answer)
        log.info(
            "callback",
            account=callback.account,
            callback=callback.id,
            answer=outcome,
            state=state,
            tries=callback.tries + 1,
        )
        while True:
            try:
                await self._store.finish(callback, state, due_at, outcome)
            except StoreUnavailable as error:
                log.error("the end of a callback can't be stored yet", callback=callback.id, error=str(error))
                await asyncio.sleep(_RETRY)
            else:
                return

    def _judged(self, callback: Callback, answer: WebAnswer | NoWebAnswer | None) -> tuple[CallbackState, int]:
        if answer is None:
            return CallbackState.DONE, callback.due_at
        if isinstance(answer, WebAnswer) and answer.status in self._target.stop:
            has_it = answer.status in _HAS_IT
            return CallbackState.DONE if has_it else CallbackState.REFUSED, callback.due_at
        asked = answer.retry_after if isinstance(answer, WebAnswer) else None
        tries, now = callback.tries + 1, self._clock()
        following = self._target.schedule.next_try(callback.event_at, now, tries, self._dice(), asked)
        if following is None:
            log.error("a callback is given up", account=callback.account, callback=callback.id, tries=tries)
            return CallbackState.DEAD, callback.due_at
        return CallbackState.PENDING, following


def _words(answer: WebAnswer | NoWebAnswer | None) -> str:
    if answer is None:
        return "nothing to tell"
    return f"HTTP {answer.status}" if isinstance(answer, WebAnswer) else answer.reason
