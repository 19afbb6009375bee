"""How many requests begin in one turn of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any


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
