"""When the next call to SMSBAT may go out, and how many of the messages that wait it takes.

An idle gateway sends a single message at once. While calls are in flight, arriving messages gather for a moment, and
the next call takes its share of them: SMSBAT limits calls, not messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gateway.core.budget import CallBudget
from gateway.core.retry import Breaker, Pause
from gateway.mapping.schema.accounts import Credential
from gateway.outbound.judgement import Judgement

#: Seconds between the beginnings of calls that are in flight together: what a call costs by itself is more than what
#: dozens of messages add to it, and this is short beside the time that a call takes.
SPACING = 0.003
#: Seconds between them when messages are spread over calls evenly. Longer than they are really apart: what comes in a
#: burst need not wait long for its last call then.
_APART = 0.005
#: As many messages as it is not worth to spread.
_FEW = 8
#: Of so many calls the usual time is made.
_REMEMBERED = 8
#: With fewer calls a second than this, a message does not wait for a later call than the next one.
_MANY_CALLS = 50
#: Messages in calls without an answer, which come to SMSBAT again if the process is killed: no more of them than one
#: call may hold (wire: smsbat.md, 1).
_MOST_OPEN = 5000


class Pace:
    """Of the calls under one SMSBAT login. ``now`` is in seconds of a monotonic clock everywhere."""

    def __init__(self, settings: Credential, dice: Callable[[], float]) -> None:
        self._settings = settings
        self._dice = dice
        self._budget = CallBudget(settings.calls_per_second, settings.burst, settings.calls_in_flight)
        # The plan before this one, or the process that was killed.
        self._budget.use_up()
        self._breaker = Breaker()
        self._pause = Pause()
        #: Calls without an answer yet, and the messages in them.
        self._calls = self._messages = 0
        self._called_at = 0.0
        #: Seconds that a call takes, about.
        self._usual = 0.0

    def divide(self, among: int) -> None:
        """So many nodes call under this login."""
        self._budget.share(among)

    @property
    def is_held_back(self) -> bool:
        """Whether SMSBAT did not answer lately."""
        return self._breaker.is_open

    def budget(self, now: float) -> float:
        """How many calls may go out at once."""
        return self._budget.left(now)

    def delay(self, waiting: int, now: float) -> float:
        """Seconds until a call may go out with some of the messages that wait; infinite until another one ends."""
        room, wanted = _MOST_OPEN - self._messages, min(waiting, self._settings.messages_per_call)
        if self._calls >= self._budget.in_flight or (self._calls and 2 * room < wanted):
            return math.inf
        delay = max(self._breaker.delay(now), self._pause.until - now, self._budget.delay(now))
        if self._calls and waiting < self._settings.messages_per_call:
            delay = max(delay, self._called_at + SPACING - now)
        return delay

    def share(self, waiting: int) -> int:
        """Most messages that the next call takes: as many as each call in flight would have if all had as many.

        Messages that travel together are answered together, and their clients' next requests come in one burst. A call
        that took all of those would keep them together for ever, each waiting for all others in every step. Where the
        next call is far, this one takes what there is.
        """
        most = min(self._settings.messages_per_call, _MOST_OPEN - self._messages)
        if self._calls + 1 >= self._budget.in_flight or self._budget.rate < _MANY_CALLS:
            return most
        return min(most, max(_FEW, math.ceil((waiting + self._messages) / self._spread)))

    @property
    def _spread(self) -> int:
        """Over how many calls messages are to be spread: one more, or as many as there is time for.

        Else a few large bursts would stay a few: the same share for all of them is what they have already.
        """
        apart = max(_APART, 1 / self._budget.rate)
        return max(self._calls + 1, min(self._budget.in_flight, int(self._usual / apart)))

    def called(self, messages: int, now: float) -> bool:
        """A call goes out; true when it probes whether SMSBAT is there again."""
        self._budget.take()
        self._calls += 1
        self._messages += messages
        self._called_at = now
        return self._breaker.called()

    def ended(self, messages: int, seconds: float) -> None:
        """A call is in flight no more, after so many seconds."""
        self._calls -= 1
        self._messages -= messages
        self._usual += (seconds - self._usual) / _REMEMBERED

    def learn(self, judgement: Judgement, probe: bool, now: float) -> None:
        """What the end of a call says of the next ones."""
        if judgement.answered:
            self._breaker.succeeded()
        else:
            self._breaker.failed(now, self._dice(), probe)
        if judgement.limited:
            self._pause.refused(now, judgement.retry_after, self._dice())
        elif judgement.answered:
            self._pause.passed()
