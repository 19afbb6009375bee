"""How long to leave a failing upstream alone. Pure: the time and the dice are passed in."""

from __future__ import annotations

from dataclasses import dataclass

#: SMSBAT's own advice for a refused call: 1, 2, 4, 8 seconds (wire: smsbat.md, 5).
FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
LONGEST_PROBE_DELAY = 4.0
#: A shorter pause than this is none; a longer one than this outlasts what it is about.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 3600.0


def backoff(attempt: int, dice: float, first: float = FIRST_DELAY, longest: float = LONGEST_DELAY) -> float:
    """Seconds to wait after failed attempt number ``attempt`` (from 1), spread by ``dice`` in [0, 1).

    Doubles each time up to ``longest``; the spread of one quarter keeps many waiters from coming back at once.
    """
    delay = min(longest, first * (1 << min(attempt - 1, 16)))
    return delay * (0.75 + 0.25 * dice)


@dataclass(slots=True)
class Breaker:
    """A circuit breaker: after ``threshold`` failures in a row only one probe at a time is let through.

    Times are seconds of any monotonic clock. A success closes it; while open, each failed probe doubles the pause
    up to a few seconds, since a probe costs SMSBAT nothing and a recovery should not go unnoticed.
    """

    threshold: int = 5
    failures: int = 0
    open_until: float = 0.0
    probing: bool = False

    @property
    def is_open(self) -> bool:
        """Whether calls are held back."""
        return self.failures >= self.threshold

    def delay(self, now: float) -> float:
        """Seconds until a call may be made: 0 at once, infinite while a probe is out."""
        if not self.is_open:
            return 0.0
        if self.probing:
            return float("inf")
        return max(0.0, self.open_until - now)

    def called(self) -> bool:
        """A call goes out now; true when it is the probe."""
        self.probing = self.is_open
        return self.probing

    def succeeded(self) -> None:
        """A call was answered: SMSBAT is there."""
        self.failures, self.open_until, self.probing = 0, 0.0, False

    def failed(self, now: float, dice: float, probe: bool) -> None:
        """A call failed in a way that speaks of SMSBAT or the line; one that left before the opening tells nothing."""
        if self.is_open and not probe:
            return
        self.failures += 1
        self.probing = False
        if self.is_open:
            self.open_until = now + backoff(self.failures - self.threshold + 1, dice, longest=LONGEST_PROBE_DELAY)


@dataclass(slots=True)
class Pause:
    """How long a rate limiter is left alone after it refused a call. Times are seconds of any monotonic clock."""

    until: float = 0.0
    times: int = 0

    def refused(self, now: float, retry_after: float | None, dice: float) -> None:
        """A call was refused. Several that were under way together are one step; an earlier pause is not shortened."""
        if now >= self.until or not self.times:
            # One that was let through meanwhile makes it the first again.
            self.times += 1
        wanted = backoff(self.times, dice) if retry_after is None else max(retry_after, SHORTEST_PAUSE)
        self.until = max(self.until, now + min(wanted, LONGEST_PAUSE))

    def passed(self) -> None:
        """A call was let through."""
        self.times = 0
