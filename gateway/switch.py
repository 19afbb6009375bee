"""Mapping files that change while the gateway serves: the new ones are used as a whole, or not at all.

Every request is served by one plan from its beginning to its end. The old plan's work ends behind its last request, and
what is left of it the new one takes over, as from any node that leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from gateway.clock import now_ms
from gateway.errors import ConfigurationError, StoreUnavailable
from gateway.inbound.body import Receive, Send
from gateway.mapping.loader import Plan
from gateway.metrics import PLAN_FAILURES
from gateway.translation import Ground, Translation, translating

log = structlog.get_logger("gateway.reload")

#: Seconds between looks at the folder. Files that are being written are left alone until they have stayed as they are.
LOOK = 1.0
#: Seconds that the requests of an old plan may take to end: more than any account may wait.
_LAST_REQUESTS = 70.0

Files = frozenset[tuple[str, int, int, int]]


class _Serving:
    """A translation with the requests that it serves."""

    def __init__(self, translation: Translation, stack: contextlib.AsyncExitStack) -> None:
        self.translation = translation
        self._stack = stack
        self._requests = 0
        self._idle: asyncio.Event | None = None

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        self._requests += 1
        try:
            await self.translation.app(scope, receive, send)
        finally:
            self._requests -= 1
            if self._idle is not None and not self._requests:
                self._idle.set()

    async def retire(self, stopping: asyncio.Event) -> None:
        """End behind the last request and call; of calls only what can be waited for when the process stops."""
        try:
            await self._drain(stopping)
        finally:
            await self._stack.aclose()

    async def _drain(self, stopping: asyncio.Event) -> None:
        if not stopping.is_set():
            await self.translation.hand_over()
        if self._requests:
            self._idle = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_REQUESTS):
                    await self._idle.wait()
        last = [asyncio.create_task(work) for work in (self.translation.finish(), stopping.wait())]
        await asyncio.wait(last, return_when=asyncio.FIRST_COMPLETED)
        for task in last:
            task.cancel()


class Switch:
    """The application for whatever plan is in use. Use from one event loop."""

    def __init__(self, ground: Ground, load: Callable[[], Plan], folder: Path, used: Files) -> None:
        self._ground = ground
        self._load = load
        self._folder = folder
        #: What told the folder's files from others when they were read last.
        self._used = used
        self._serving: _Serving | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._loaded_at = 0
        self._problem: str | None = None
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._to_repeat = False
        self.reload_wanted = asyncio.Event()

    async def use(self, plan: Plan) -> None:
        """Serve by this plan from now on. Raises ``StoreUnavailable``; then nothing has changed."""
        stack = contextlib.AsyncExitStack()
        try:
            translation = await stack.enter_async_context(translating(plan, self._ground))
        except BaseException:
            await stack.aclose()
            raise
        old, self._serving = self._serving, _Serving(translation, stack)
        self._loaded_at, self._problem = now_ms(), None
        if old is not None:
            task = asyncio.create_task(old.retire(self._stopping))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def stop(self) -> None:
        """End behind the last requests."""
        self._stopping.set()
        if self._serving is not None:
            await self._serving.retire(self._stopping)
        await asyncio.gather(*self._retiring, return_exceptions=True)

    @property
    def plan(self) -> Plan:
        """The plan in use."""
        assert self._serving is not None
        return self._serving.translation.plan

    def __call__(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request by the plan that is in use when it begins."""
        assert self._serving is not None
        return self._serving(scope, receive, send)

    def condition(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether messages can be taken, and what there is to say of it."""
        assert self._serving is not None
        translation = self._serving.translation
        plan = {"dialects": [*translation.plan.dialects], "loaded_at": self._loaded_at}
        told = {"plan": plan if self._problem is None else {**plan, "problem": self._problem}}
        return translation.is_ready, {**translation.condition, **told}

    async def reload(self) -> str | None:
        """Load the files again and use them; returns what is wrong, and goes on with the old ones then.

        It is tried again by itself when it was the database that did not let it.
        """
        async with self._turn:
            self._to_repeat = False
            # Looked at first: what changes while they are read is read again.
            self._used = await asyncio.to_thread(files_of, self._folder)
            try:
                await self.use(await asyncio.to_thread(self._load))
            except ConfigurationError as error:
                log.error("the mapping files are wrong, and nothing has changed", problems=str(error))
                return self._failed(str(error))
            except StoreUnavailable as error:
                self._to_repeat = True
                log.error("the mapping files can't be used yet", error=str(error))
                return self._failed(f"the mapping files can't be used yet: {error}")
            except Exception as error:
                log.exception("the mapping files could not be used")
                return self._failed(f"the mapping files could not be used: {type(error).__name__}")
            log.info("mapping files loaded anew", dialects=[*self.plan.dialects])
            return None

    def _failed(self, problem: str) -> str:
        self._problem = problem
        PLAN_FAILURES.inc()
        return problem

    async def watch(self) -> None:
        """Reload when the folder's files are others than those that were read, or when it is wanted."""
        before = self._used
        while True:
            wanted = await self._wanted()
            now = await asyncio.to_thread(files_of, self._folder)
            if wanted or self._to_repeat or (now != self._used and now == before):
                await self.reload()
            before = now

    async def _wanted(self) -> bool:
        try:
            async with asyncio.timeout(LOOK):
                await self.reload_wanted.wait()
        except TimeoutError:
            return False
        self.reload_wanted.clear()
        return True


def files_of(folder: Path) -> Files:
    """What tells a folder's files from what they were; links are followed, as those that orchestrators swap."""
    found = set()
    # A folder of a network may be away for a while: then its files have changed, and can't be loaded.
    with contextlib.suppress(OSError):
        for path in [*folder.glob("*.yaml"), *folder.glob("*.yml")]:
            with contextlib.suppress(OSError):
                status = path.stat()
                found.add((path.name, status.st_mtime_ns, status.st_size, status.st_ino))
    return frozenset(found)
