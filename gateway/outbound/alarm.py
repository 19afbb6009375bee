"""A timer that may be set any number of times and rings once, at the earliest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls ``ring``. Use from one event loop."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    def ring_after(self, seconds: float) -> None:
        """Ring in so many seconds, if it does not before."""
        loop = asyncio.get_running_loop()
        if self._handle is not None:
            if self._handle.when() <= loop.time() + seconds:
                return
            self._handle.cancel()
        self._handle = loop.call_later(seconds, self._rung)

    def stop(self) -> None:
        """Do not ring any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _rung(self) -> None:
        self._handle = None
        self._ring()
