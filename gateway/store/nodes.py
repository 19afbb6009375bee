"""Gateway processes that share a database: who is there, and who does what only one may do.

A node says every second that it is there, and is believed for some more. What was a dead node's is anybody's. A node
that could not say so in time counts itself as dead, and does nothing more under that name.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, delete, insert, select, text, update

from gateway.clock import now_ms
from gateway.store.database import Database
from gateway.store.tables import leases, nodes

#: Seconds between words of a node, for which it is believed, and after which it does not believe itself any more.
BEAT, BELIEVED, SURE = 1.0, 10.0, 7.0


class Share(Protocol):
    """Which of the rows that nodes share are one's own: those of ``id``, and those of nobody who is ``alive``."""

    @property
    def id(self) -> str:
        """One's own name."""

    @property
    def alive(self) -> frozenset[str]:
        """Everybody's who is there."""

    @property
    def is_sure(self) -> bool:
        """Whether the others believe that one is there."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Who has the database to itself."""

    id: str = "alone"
    alive: frozenset[str] = frozenset({"alone"})
    is_sure: bool = True


ALONE = Alone()


class Node:
    """One gateway process on its database. Methods raise ``StoreUnavailable``. Use from one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._said_at = 0.0
        self._id = ""
        self._alive: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """Its name."""
        return self._id

    @property
    def alive(self) -> frozenset[str]:
        """Every node that is there, this one included."""
        return self._alive

    @property
    def is_sure(self) -> bool:
        """Whether the others believe that this node is there."""
        return time.monotonic() - self._said_at < SURE

    async def join(self) -> None:
        """Be there, under a new name: of an old one others may have taken over everything."""
        self._id = str(uuid.uuid4())
        await self.beat()

    async def beat(self) -> None:
        """Say that this node is there, and look who else is."""
        said_at = time.monotonic()
        self._alive = await self._database.writer.run(self._beat)
        self._said_at = said_at

    async def leave(self) -> None:
        """Be no more there: what this node still had is anybody's at once."""
        await self._database.writer.run(
            lambda connection: connection.execute(delete(nodes).where(nodes.c.id == self.id))
        )

    async def holds(self, names: Collection[str]) -> frozenset[str]:
        """Which of these works are this node's: those that it has already, and those that no other one has."""
        return await self._database.writer.run(lambda connection: self._hold(connection, names))

    def _beat(self, connection: Connection) -> frozenset[str]:
        now = _now(connection)
        until = now + int(BELIEVED * 1000)
        if connection.execute(update(nodes).where(nodes.c.id == self.id).values(until=until)).rowcount == 0:
            here = {"id": self.id, "host": _HOST, "process": _process(os.getpid()), "until": until}
            connection.execute(insert(nodes).values(**here))
        rows = connection.execute(select(nodes)).all()
        dead = [row.id for row in rows if row.until < now or _has_ended(row.host, row.process)]
        if dead:
            connection.execute(delete(nodes).where(nodes.c.id.in_(dead)))
        return frozenset(row.id for row in rows) - frozenset(dead)

    def _hold(self, connection: Connection, names: Collection[str]) -> frozenset[str]:
        known = connection.execute(select(leases).where(leases.c.name.in_(names)).with_for_update()).all()
        held = {row.name for row in known if row.node == self.id}
        free = {row.name for row in known if row.node not in self.alive}
        if free:
            connection.execute(update(leases).where(leases.c.name.in_(free)).values(node=self.id))
        new = set(names) - {row.name for row in known}
        if new:
            connection.execute(insert(leases), [{"name": name, "node": self.id} for name in new])
        return frozenset(held | free | new)


def _now(connection: Connection) -> int:
    """By the clock that all nodes have: that of their machine, or that of their database."""
    if connection.dialect.name == "sqlite":
        return now_ms()
    return int(connection.execute(text("SELECT extract(epoch FROM clock_timestamp()) * 1000")).scalar_one())


def _boot() -> str:
    """What tells this run of the machine from an earlier one, where the system says so."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


_HOST = f"{socket.gethostname()}:{_boot()}"


def _process(pid: int) -> str:
    """A process of this machine, told apart from another one that has its number later."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{pid}:{started}"


def _has_ended(host: str, process: str) -> bool:
    """Whether a node of this machine is gone, which need not be waited for."""
    return host == _HOST and bool(process) and _process(int(process.partition(":")[0])) != process
