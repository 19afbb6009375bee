"""Message ids: UUIDs that grow with time. A store's index then grows at one end, in the order of arrival."""

from __future__ import annotations

import re
from collections.abc import Callable

#: Of dialects whose ids are integers: no greater one is given to anybody (wire: smsby.md, 3).
LARGEST_NUMBER = 2**31 - 1
_NUMBER = re.compile("[0-9]{1,10}")
#: Random bytes of one id, and of as many ids as are drawn at once: asking the system for few costs as much as for many.
_BYTES, _DRAWN = 6, 256
#: The variant of RFC 9562, and in the 14 bits behind it how many ids there were in their millisecond.
_VARIANT, _LAST = 0x8000, 0xBFFF


def number_in(text: str) -> int | None:
    """The integer id that is written there; ``None`` when it is none that anybody was given."""
    number = int(text) if _NUMBER.fullmatch(text) else None
    return number if number is not None and number <= LARGEST_NUMBER else None


class MessageIds:
    """Version 7 UUIDs (RFC 9562) in lower case, each greater than the one before, also within one millisecond.

    Those of a millisecond are counted from a random number on, and have 48 random bits of their own behind that.
    ``entropy`` gives so many random bytes.
    """

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        #: The random digits that ids end with, each used once.
        self._tails: list[str] = []
        self._time, self._head, self._count = -1, "", _LAST

    def new(self, now_ms: int) -> str:
        """The next id, at so many milliseconds since the epoch."""
        # A clock that was set back is waited for, and what a millisecond has no room for is of the next one.
        if now_ms > self._time or self._count == _LAST:
            self._begin(max(now_ms, self._time + 1))
        self._count += 1
        return f"{self._head}{self._count:04x}-{self._draw()}"

    def _begin(self, time: int) -> None:
        """Another millisecond. The count begins in the lower half, so that there is always room for thousands."""
        random = int(self._draw(), 16)
        self._time, self._head = time, f"{first_id_at(time)}-7{random >> 16 & 0xFFF:03x}-"
        self._count = _VARIANT | random & 0x1FFF

    def _draw(self) -> str:
        if not self._tails:
            drawn = self._entropy(_BYTES * _DRAWN).hex()
            digits = 2 * _BYTES
            self._tails = [drawn[i : i + digits] for i in range(0, len(drawn) - digits + 1, digits)]
        return self._tails.pop()


def first_id_at(now_ms: int) -> str:
    """What every id that was made before a moment is less than, and every later one is not."""
    digits = f"{max(0, now_ms):012x}"
    return f"{digits[:8]}-{digits[8:]}"
