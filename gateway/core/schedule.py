"""When a callback is tried again (wire: messagio.md, A7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: In milliseconds.
MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Step:
    """So many repeats at an interval in minutes; ``times`` is ``None`` for as many as there is time for."""

    minutes: float
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Repeats until ``give_up`` minutes after the event; ``jitter`` is the share of an interval that chance adds."""

    steps: Sequence[Step]
    give_up: float
    jitter: float = 0.0

    def next_try(
        self, event_at: int, now: int, tries: int, dice: float, retry_after: float | None = None
    ) -> int | None:
        """When to try again after ``tries`` failures, in milliseconds since the epoch; ``None`` when it is given up.

        ``dice`` is a random number below 1. ``retry_after`` is what the partner asked for, in seconds.
        """
        interval = self._interval(tries)
        if interval is None:
            return None
        delay = interval * MINUTE * (1 + self.jitter * dice)
        if retry_after is not None:
            # No longer than the schedule itself would ever wait, lest a partner's server page ends it all.
            delay = max(delay, min(retry_after * 1000, max(step.minutes for step in self.steps) * MINUTE))
        then = now + int(delay)
        return then if then <= event_at + self.give_up * MINUTE else None

    def _interval(self, tries: int) -> float | None:
        for step in self.steps:
            if step.times is None or tries <= step.times:
                return step.minutes
            tries -= step.times
        return None
