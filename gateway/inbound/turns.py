"""What happens in one turn of the event loop: how many requests begin, and what is better done together."""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

import structlog

log = structlog.get_logger("gateway.inbound")

Item = TypeVar("Item")


class Turns:
    """Lets ``most`` requests begin in a turn of the event loop; the others have the next ones, in their order.

    Hundreds that come at once would otherwise be understood one after the other before the first of them is stored
    and sent, and then all wait together. Use from one event loop.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._next_is_coming = False
        self._waiting: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()

    def begin(self, start: Callable[..., None], *arguments: Any) -> None:
        """Call ``start`` in this turn, or in a later one when as many have begun as may."""
        self._expect_next()
        if self._left > 0:
            self._left -= 1
            start(*arguments)
        else:
            self._waiting.append((start, arguments))

    def _expect_next(self) -> None:
        if not self._next_is_coming:
            self._next_is_coming = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._left, self._next_is_coming = self._most, False
        while self._waiting and self._left > 0:
            start, arguments = self._waiting.popleft()
            self._left -= 1
            start(*arguments)
        if self._waiting:
            self._expect_next()


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
