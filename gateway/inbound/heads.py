"""Heads of requests that came before, byte for byte: what the parser made of them then, it would make of them again.

A client's heads differ by nothing but the length of the body, as long as its parameters are in the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.inbound.body import BODY_AT, HEAD_AT, HEADERS_AT
from gateway.mapping.remembered import Remembered

#: Of a scope, what its connection or its moment decides.
_OWN = frozenset({"client", "server", "scheme", "state", HEAD_AT, BODY_AT})


class KnownHead(NamedTuple):
    """A head as it was parsed: its part of the scope, the body's length in bytes, and whether the connection lasts."""

    scope: Mapping[str, Any]
    length: int
    keep_alive: bool


class KnownHeads:
    """Heads that are worth to be remembered: those without parameters in them, and with a body of a known length."""

    def __init__(self) -> None:
        self._heads: Remembered[KnownHead] = Remembered()

    def find(self, head: bytes) -> KnownHead | None:
        """What is known of a head."""
        return self._heads.get((head,))

    def learn(self, head: bytes, scope: Mapping[str, Any], length: int, keep_alive: bool) -> None:
        """Remember what the parser made of a head, unless it is one of those that do not come again."""
        if not scope["query_string"] and b"boundary=" not in head and self.find(head) is None:
            # With places for what is its own: to add one to a copy takes longer than to fill it.
            shared = {**scope, **dict.fromkeys(_OWN), HEADERS_AT: dict(scope["headers"])}
            self._heads.keep((head,), KnownHead(shared, length, keep_alive))
