"""A timer that may be set any number of times and rings once, at the earliest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls ``ring``. Use from one event loop."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._handle: asyncio.Handle | None = None
        #: By the loop's clock. Kept here: uvloop has no time to tell of a timer that is due within half a millisecond.
        self._at = 0.0

    def ring_after(self, seconds: float) -> None:
        """Ring in so many seconds, if it does not before."""
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        if self._handle is not None:
            if self._at <= at:
                return
            self._handle.cancel()
        self._handle, self._at = loop.call_later(seconds, self._rung), at

    def stop(self) -> None:
        """Do not ring any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _rung(self) -> None:
        self._handle = None
        self._ring()
