"""A call budget: a token bucket that never lets the other side count more calls than it allows."""

from __future__ import annotations


class CallBudget:
    """At most ``burst`` calls at once and ``rate`` a second afterwards, as the receiver counts them.

    The receiver counts calls when they arrive, not when they leave: up to ``in_flight`` calls can bunch up on the
    way. So the bucket is that much smaller than the documented burst, and no more may be in flight than half of it.
    Times are seconds of a monotonic clock.
    """

    def __init__(self, rate: float, burst: int, in_flight: int) -> None:
        self._whole = (rate, burst, in_flight)
        self._shares = 0
        self._tokens = float(burst)
        self.share(1)
        self._at: float | None = None

    def share(self, among: int) -> None:
        """From now on so many share it, and each has its part."""
        if among == self._shares:
            return
        rate, burst, in_flight = self._whole
        self._shares = among
        self.rate = rate / among
        self.in_flight = min(in_flight, max(1, burst // among // 2))
        self.capacity = float(max(1, burst // among - self.in_flight))
        self._tokens = min(self._tokens, self.capacity)

    def use_up(self) -> None:
        """Who called before may have used it up, all but a call; from now on it fills again."""
        self._tokens = 1.0

    def delay(self, now: float) -> float:
        """Seconds until a call may go out; 0 when it may now."""
        self._refill(now)
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self.rate

    def left(self, now: float) -> float:
        """How many calls may go out at once."""
        self._refill(now)
        return self._tokens

    def take(self) -> None:
        """Count a call that goes out now."""
        self._tokens -= 1.0

    def _refill(self, now: float) -> None:
        elapsed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._tokens = min(self.capacity, self._tokens + elapsed * self.rate)
        self._at = now
