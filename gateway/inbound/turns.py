"""What happens in one turn of the event loop: which requests go on side by side, and what is better done together."""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any, Generic, TypeVar

import structlog

log = structlog.get_logger("gateway.inbound")

Item = TypeVar("Item")


class Turns:
    """Serves requests side by side; in a turn of the event loop ``most`` new ones begin, in their order.

    Hundreds that come at once would otherwise be understood one after the other before the first of them is stored
    and sent, and then all wait together.

    No request is a task of asyncio's: to make one, and to let it go on behind each ``abreast``, takes a twentieth of
    all that a message does. So what needs a task (``asyncio.timeout``, aiohttp) makes one, and nothing waits by
    ``asyncio.sleep(0)``, which says the same as ``abreast``. Use from one event loop.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._new: deque[Served] = deque()
        #: Those whose wait is over.
        self._awake: list[Served] = []
        self._next_is_coming = False

    def begin(self, work: Coroutine[Any, Any, None]) -> Served:
        """Serve one more."""
        served = Served(work, self._woken)
        self._new.append(served)
        self._expect_next()
        return served

    def _woken(self, served: Served) -> None:
        self._awake.append(served)
        self._expect_next()

    def _expect_next(self) -> None:
        if not self._next_is_coming:
            self._next_is_coming = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._next_is_coming = False
        new = [self._new.popleft() for _ in range(min(self._most, len(self._new)))]
        going, self._awake = self._awake + new, []
        while going:
            going = [served for served in going if served.goes_on()]
        if self._new:
            self._expect_next()


class Served:
    """A request on its way, in a context of its own; ``woken`` is told when it need wait no longer."""

    __slots__ = ("_context", "_future", "_woken", "_work")

    def __init__(self, work: Coroutine[Any, Any, None], woken: Callable[[Served], None]) -> None:
        self._work = work
        self._woken = woken
        self._context = copy_context()
        #: What it waits for, or waited for last.
        self._future: asyncio.Future[Any] | None = None

    def goes_on(self, error: BaseException | None = None) -> bool:
        """Whether it came to where it waits for the others. Else it is over, or waits for a future.

        With an error, that is raised where it is.
        """
        try:
            if error is None:
                future = self._context.run(self._work.send, None)
            else:
                future = self._context.run(self._work.throw, error)
        except StopIteration:
            return False
        except BaseException:
            log.exception("a request ended in an unforeseen way")
            return False
        return future is None or self._waits(future)

    def _waits(self, future: asyncio.Future[Any]) -> bool:
        try:
            # As a task says that it has taken notice; others may wait for the same one.
            future._asyncio_future_blocking = False
            future.add_done_callback(self._wake, context=self._context)
        except AttributeError:
            return self.goes_on(RuntimeError("a request can wait for futures of asyncio's alone"))
        self._future = future
        return False

    def _wake(self, _: asyncio.Future[Any]) -> None:
        self._woken(self)

    def cancel(self, why: str) -> None:
        """What it waits for will not come: it is told so where it waits, and may still answer."""
        is_waiting = self._future is not None and self._future.remove_done_callback(self._wake)
        if is_waiting and self.goes_on(asyncio.CancelledError(why)):
            self._woken(self)


@types.coroutine
def abreast() -> Generator[None]:
    """Let the requests of the same turn come as far as this one, before any of them goes on.

    Steps of one kind that follow each other are foreseen by the processor, and find their code and data in its caches.
    Request by request they are not: reading, checking and storing 16 of them step by step takes half to two thirds.
    """
    yield


class Together(Generic[Item]):
    """Does with all that came in a turn of the event loop what is to be done with each, when the turn is over.

    It costs half as much like this, for the same reason as with ``abreast``. What goes wrong with one of them is
    logged, and does not concern the others. Use from one event loop.
    """

    def __init__(self, do: Callable[[Item], None]) -> None:
        self._do = do
        self._items: list[Item] = []

    def put(self, item: Item) -> None:
        """One more of this turn."""
        if not self._items:
            asyncio.get_running_loop().call_soon(self._do_all)
        self._items.append(item)

    def _do_all(self) -> None:
        items, self._items = self._items, []
        for item in items:
            try:
                self._do(item)
            except Exception:
                log.exception("a step of a request failed")
