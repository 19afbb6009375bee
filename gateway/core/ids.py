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
        self._left: list[int] = []
        self._last = 0

    def new(self, now_ms: int) -> str:
        """The next id, at so many milliseconds since the epoch."""
        random = self._random()
        fresh = now_ms << _RANDOM_BITS | random >> 6
        # In the same millisecond, or after the clock was set back: a random step from the last one.
        self._last = fresh if fresh > self._last else self._last + 1 + (random & 0xFFFF_FFFF)
        return _formatted(self._last)

    def _random(self) -> int:
        """80 random bits, each used once."""
        if not self._left:
            drawn = self._entropy(_BYTES * _DRAWN)
            self._left = [int.from_bytes(drawn[i : i + _BYTES], "big") for i in range(0, len(drawn), _BYTES)]
        return self._left.pop()


def first_id_at(now_ms: int) -> str:
    """What every id that was made before a moment is less than, and every later one is not."""
    digits = f"{max(0, now_ms):012x}"
    return f"{digits[:8]}-{digits[8:]}"


def _formatted(value: int) -> str:
    """The version and the variant go between the time, 12 bits and 62 bits."""
    time, first, second = value >> 74, value >> 62 & 0xFFF, value & 0x3FFF_FFFF_FFFF_FFFF
    digits = (time << 80 | 0x7 << 76 | first << 64 | 0x2 << 62 | second).to_bytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
