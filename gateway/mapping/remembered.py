"""What was found out before, for keys that clients repeat and strangers can make up without end."""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")

_MOST, _LONGEST = 1000, 300


class Remembered(Generic[Value]):
    """Values by keys of a few texts, or names as they were sent. Long keys are not kept, and of many it begins anew."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str | bytes, ...], Value] = {}
        self.get = self._kept.get

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: tuple[str | bytes, ...], value: Value) -> Value:
        """Remember a value, and return it."""
        if sum(map(len, key)) <= _LONGEST:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[key] = value
        return value
