"""The ends of waits: most are over long before, so that a timer for each would be made in vain."""

from __future__ import annotations

import asyncio
import math
import time

from gateway.outbound.pending import Verdicts

#: Seconds by which a wait may last longer: those that end within them have a timer together.
_TICK = 0.05


class Deadlines:
    """Ends the waits whose time has come. Use from one event loop, the running one."""

    def __init__(self) -> None:
        # To ask which one is running takes a system call each time.
        self._loop = asyncio.get_running_loop()
        self._waits: dict[int, set[Verdicts]] = {}

    def end(self, verdicts: Verdicts, deadline: float) -> set[Verdicts]:
        """End a wait at a moment of the monotonic clock, unless it leaves the set that is returned; at once if over."""
        if deadline <= time.monotonic():
            verdicts.end_wait()
            return set()
        tick = math.ceil(deadline / _TICK)
        waits = self._waits.get(tick)
        if waits is None:
            waits = self._waits[tick] = set()
            self._loop.call_at(tick * _TICK, self._end, tick)
        waits.add(verdicts)
        return waits

    def _end(self, tick: int) -> None:
        for verdicts in self._waits.pop(tick):
            verdicts.end_wait()
