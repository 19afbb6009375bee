"""Works that only one node does at a time, and which of them are this node's."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import structlog

from gateway.errors import RowRefused, StoreUnavailable
from gateway.store.callbacks import Script
from gateway.store.nodes import Node

log = structlog.get_logger("gateway.works")

RELEASES, SWEEP = "releases", "sweep"


def polling(smsbat: str) -> str:
    """Asking SMSBAT what became of messages of a login."""
    return f"poll:{smsbat}"


def telling(script: Script) -> str:
    """Telling a script what it is owed: in order for each message, which two nodes could not keep."""
    return f"tell:{script.account}:{script.dialect}{':by-request' if script.by_request else ''}"


class Works(Protocol):
    """Which works are this node's."""

    @property
    def alone(self) -> bool:
        """Whether there is no other node."""

    def has(self, name: str) -> bool:
        """Whether this node is to do it now."""


class EveryWork:
    """For who is alone."""

    alone = True

    def has(self, name: str) -> bool:
        """Everything is."""
        return bool(name)


EVERY_WORK = EveryWork()


class SharedWorks:
    """Works divided between nodes; each takes those that no other one has."""

    def __init__(self, node: Node, names: Collection[str]) -> None:
        self._node = node
        self._names = names
        self._held: frozenset[str] = frozenset()

    @property
    def alone(self) -> bool:
        """Whether there is no other node."""
        return len(self._node.alive) < 2

    def has(self, name: str) -> bool:
        """Whether it is this node's, and the others believe so."""
        return name in self._held and self._node.is_sure

    def drop(self) -> None:
        """Have nothing, until it is looked again."""
        self._held = frozenset()

    def end(self) -> None:
        """Have nothing from now on."""
        self._names = ()
        self.drop()

    async def look(self) -> None:
        """Keep what this node has, and take what nobody has."""
        try:
            held = await self._node.holds(self._names)
        except (StoreUnavailable, RowRefused) as error:
            log.error("works can't be divided for now", error=str(error))
        else:
            # It may have ended meanwhile.
            self._held = held.intersection(self._names)
