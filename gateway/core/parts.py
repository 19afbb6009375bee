"""How many SMS a text takes, by a dialect's own table."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartsTable:
    """``ascii`` and ``unicode`` are the most characters of one part, of two, and so on.

    A character of ``double`` counts twice in an ASCII text, and does not make it a Unicode one.
    """

    ascii: Sequence[int]
    unicode: Sequence[int]
    double: frozenset[str]

    def count(self, text: str) -> tuple[int, int] | None:
        """Parts and counted length; ``None`` for a text that no number of parts holds."""
        plain = all(character < "\x80" or character in self.double for character in text)
        # Networks count a character beyond the first plane as two, as UTF-16 writes it.
        length = self._ascii_length(text) if plain else len(text.encode("utf-16-le", "surrogatepass")) // 2
        limits = self.ascii if plain else self.unicode
        parts = bisect_left(limits, length) + 1
        return (parts, length) if parts <= len(limits) else None

    def _ascii_length(self, text: str) -> int:
        return len(text) + sum(character in self.double for character in text)
