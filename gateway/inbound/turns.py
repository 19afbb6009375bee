"""How many requests begin in one turn of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Lets ``most`` requests begin in a turn of the event loop; the others have the next ones, in their order.

    Hundreds that come at once would otherwise be understood one after the other before the first of them is stored
    and sent, and then all wait together. Use from one event loop.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._next_is_coming = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    def begin(self) -> bool:
        """Begin in this turn; false when as many have as may."""
        self._expect_next()
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    async def wait(self) -> None:
        """Wait for a turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _expect_next(self) -> None:
        if not self._next_is_coming:
            self._next_is_coming = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._left, self._next_is_coming = self._most, False
        while self._waiting and self._left > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                self._left -= 1
                turn.set_result(None)
        if self._waiting:
            self._expect_next()
