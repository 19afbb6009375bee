"""What the sandbox was sent, and what has become of it."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from gateway.sandbox.behaviour import Fault, fault_of

#: Enough for any demo or test; the counts go on beyond.
KEPT = 200_000

_ENDS = {Fault.UNDELIVERABLE: "undeliverable", Fault.PERMANENT_ERROR: "permanenterror", Fault.STUCK: "processing"}


def end_of(item: dict[str, Any]) -> str:
    """What becomes of a message in the end."""
    return _ENDS.get(fault_of(str(item.get("to", ""))) or Fault.SLOW, "delivered")


class Ledger:
    """Every message taken, by its SMSBAT id. A message's status moves on every ``pace`` seconds."""

    def __init__(self, pace: float) -> None:
        self._pace = pace
        self._taken: dict[str, tuple[dict[str, Any], float]] = {}
        self._by_customer_id: Counter[str] = Counter()
        self._next_id = 1546807
        self.calls = 0
        self.largest_call = 0
        self.too_many = 0
        #: When status reads came, in seconds of a monotonic clock.
        self.reads: list[float] = []

    def take(self, item: dict[str, Any]) -> int:
        """Take a message; returns its id."""
        self._next_id += 1
        if len(self._taken) < KEPT:
            self._taken[str(self._next_id)] = (item, time.monotonic())
        customer_id = item.get("customerMessageId")
        if customer_id is not None:
            self._by_customer_id[str(customer_id)] += 1
        return self._next_id

    def knows(self, customer_id: object) -> bool:
        """Whether a message of this id was taken before."""
        return str(customer_id) in self._by_customer_id

    def status(self, message_id: str) -> dict[str, Any] | None:
        """The body of a status read; ``None`` for an unknown id."""
        if message_id not in self._taken:
            return None
        item, taken_at = self._taken[message_id]
        steps = int((time.monotonic() - taken_at) / self._pace) if self._pace else 2
        word = ("scheduled", "processing", end_of(item))[min(steps, 2)]
        return {
            "messagelistId": 11229,
            "messageId": int(message_id),
            "deliverystatus": word,
            "partscount": 1,
            "cost": 0.32,
        }

    def summary(self) -> dict[str, int]:
        """The figures that tests and people ask for. Any thread may ask."""
        counts = list(self._by_customer_id.values())
        return {
            "calls": self.calls,
            "largest_call": self.largest_call,
            "too_many": self.too_many,
            "messages": sum(counts),
            "doubles": sum(counts) - len(counts),
        }

    def messages(self) -> list[dict[str, Any]]:
        """The messages as they came, oldest first, each with the id it was given. Any thread may ask."""
        taken = list(self._taken.items())
        return [{"messageId": int(message_id), **item} for message_id, (item, _) in taken]
