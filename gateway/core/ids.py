"""Message ids: UUIDs that grow with time. A store's index then grows at one end, in the order of arrival."""

from __future__ import annotations

from collections.abc import Callable

_RANDOM_BITS = 74
#: Random bytes of one id, and of as many ids as are drawn at once: asking the system for few costs as much as for many.
_BYTES, _DRAWN = 10, 256


class MessageIds:
    """Version 7 UUIDs (RFC 9562) in lower case, each greater than the one before, also within one millisecond.

    ``entropy`` gives so many random bytes.
    """

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        #: 80 random bits each, used once.
        self._left: list[int] = []
        self._last = 0
        #: The time of the last one, and how that is written.
        self._time, self._written = -1, ""

    def new(self, now_ms: int) -> str:
        """The next id, at so many milliseconds since the epoch."""
        random = self._left.pop() if self._left else self._draw()
        fresh = now_ms << _RANDOM_BITS | random >> 6
        # In the same millisecond, or after the clock was set back: a random step from the last one.
        self._last = last = fresh if fresh > self._last else self._last + 1 + (random & 0xFFFF_FFFF)
        time = last >> _RANDOM_BITS
        if time != self._time:
            self._time, self._written = time, first_id_at(time)
        # The version and the variant go between the time, 12 bits and 62 bits.
        first, second, third = last >> 62 & 0xFFF, last >> 48 & 0x3FFF, last & 0xFFFF_FFFF_FFFF
        return "%s-7%03x-%04x-%012x" % (self._written, first, 0x8000 | second, third)  # noqa: UP031 the quickest

    def _draw(self) -> int:
        drawn = self._entropy(_BYTES * _DRAWN)
        self._left = [int.from_bytes(drawn[i : i + _BYTES], "big") for i in range(0, len(drawn), _BYTES)]
        return self._left.pop()


def first_id_at(now_ms: int) -> str:
    """What every id that was made before a moment is less than, and every later one is not."""
    digits = f"{max(0, now_ms):012x}"
    return f"{digits[:8]}-{digits[8:]}"
