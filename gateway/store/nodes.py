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
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, delete, insert, select, text, update

from gateway.errors import StoreUnavailable
from gateway.store.database import Database
from gateway.store.locks import one_at_a_time
from gateway.store.tables import leases, nodes

#: Seconds between words of a node, for which it is believed, and after which it does not believe itself any more.
BEAT, BELIEVED, SURE = 1.0, 10.0, 7.0
#: Milliseconds without a word of its own, after which a node can't tell whether others were silent or nobody was heard.
_GAP = 3_000


class Share(Protocol):
    """Which of the rows that nodes share are one's own: those of ``id``, and those of nobody."""

    @property
    def id(self) -> str:
        """One's own name."""

    @property
    def is_sure(self) -> bool:
        """Whether the others believe that one is there."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Who has the database to itself."""

    id: str = "alone"
    is_sure: bool = True


ALONE = Alone()


class _Heard(NamedTuple):
    """A word of a node that the database has: who is there, when that was, and since when there was no gap.

    In milliseconds by the clock that all nodes have.
    """

    alive: frozenset[str]
    at: int
    since: int


class Node:
    """One gateway process on its database. Methods raise ``StoreUnavailable``. Use from one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._said_at = 0.0
        self._id = ""
        #: Why its last word was not stored, if it was not.
        self.trouble = ""
        self._heard = _Heard(frozenset(), 0, 0)

    @property
    def id(self) -> str:
        """Its name."""
        return self._id

    @property
    def alive(self) -> frozenset[str]:
        """Every node that is there, this one included."""
        return self._heard.alive

    @property
    def is_sure(self) -> bool:
        """Whether the others believe that this node is there."""
        return _seconds() - self._said_at < SURE

    async def join(self) -> None:
        """Be there, under a new name: of an old one others may have taken over everything."""
        old, self._id = self._id, str(uuid.uuid4())
        said_at = _seconds()
        self._heard = await self._database.writer.run(lambda connection: self._enter(connection, old))
        self._said_at = said_at

    async def beat(self) -> bool:
        """Say that this node is there, and look who else is; false when the others count it as dead.

        Nobody takes over what is of a node that is on record: whoever still is, may go on however long it was silent.
        """
        said_at = _seconds()
        try:
            heard = await self._database.writer.run(self._beat)
        except StoreUnavailable as error:
            self.trouble = str(error)
            raise
        if self._id not in heard.alive:
            return False
        self._heard, self._said_at, self.trouble = heard, said_at, ""
        return True

    async def leave(self) -> None:
        """Be no more there: what this node still had is anybody's at once."""
        await self._database.writer.run(
            lambda connection: connection.execute(delete(nodes).where(nodes.c.id == self.id))
        )

    async def let_go(self) -> None:
        """Leave the works that it has to others, and stay there otherwise."""
        await self._database.writer.run(
            lambda connection: connection.execute(delete(leases).where(leases.c.node == self.id))
        )

    async def holds(self, names: Collection[str]) -> frozenset[str]:
        """Which of these works are this node's: those that it has already, and those that no other one has."""
        return await self._database.writer.run(lambda connection: self._hold(connection, names))

    def _enter(self, connection: Connection, old: str) -> _Heard:
        connection.execute(delete(nodes).where(nodes.c.id == old))
        until = _now(connection) + int(BELIEVED * 1000)
        here = {"id": self._id, "host": _HOST, "process": _process(os.getpid()), "until": until}
        connection.execute(insert(nodes).values(**here))
        return self._beat(connection)

    def _beat(self, connection: Connection) -> _Heard:
        """Those who are on record; who was silent for too long is struck off, by who was heard all that time.

        When the database itself was away, nobody was heard: all are there, with what they had.
        """
        now = _now(connection)
        since = self._heard.since if 0 <= now - self._heard.at <= _GAP else now
        self._say(connection, now + int(BELIEVED * 1000))
        rows = connection.execute(select(nodes)).all()
        may_judge, on_file = now - since >= BELIEVED * 1000, connection.dialect.name == "sqlite"
        dead = {
            row.id: row.until
            for row in rows
            if (may_judge and row.until < now) or _has_ended(row.host, row.process, on_file)
        }
        if dead:
            # Unless it has spoken since the look: what it said then is no longer what it says.
            as_seen = nodes.c.until.in_([*dead.values()])
            connection.execute(delete(nodes).where(nodes.c.id.in_([*dead]), as_seen))
        return _Heard(frozenset(row.id for row in rows) - dead.keys(), now, since)

    def _say(self, connection: Connection, until: int) -> None:
        """Be believed until then. Nobody is for much longer: who is has spoken before the clock was set back.

        It counts as if it spoke now. Who is just speaking is passed over: each would wait for the other. Who spoke
        while this transaction hung is a little ahead, and stays.
        """
        connection.execute(update(nodes).where(nodes.c.id == self._id).values(until=until))
        ahead = select(nodes.c.id).where(nodes.c.until > until + int(BELIEVED * 1000)).with_for_update(skip_locked=True)
        connection.execute(update(nodes).where(nodes.c.id.in_(ahead)).values(until=until))

    def _hold(self, connection: Connection, names: Collection[str]) -> frozenset[str]:
        one_at_a_time(connection, "leases")
        on_record = frozenset(connection.scalars(select(nodes.c.id)))
        known = connection.execute(select(leases).where(leases.c.name.in_(names))).all()
        held = {row.name for row in known if row.node == self._id}
        free = {row.name for row in known if row.node not in on_record}
        if free:
            connection.execute(update(leases).where(leases.c.name.in_(free)).values(node=self._id))
        new = set(names) - {row.name for row in known}
        if new:
            connection.execute(insert(leases), [{"name": name, "node": self._id} for name in new])
        return frozenset(held | free | new) if self._id in on_record else frozenset()


def _seconds() -> float:
    """A clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _now(connection: Connection) -> int:
    """By the clock that all nodes have: that of their machine, or that of their database."""
    if connection.dialect.name == "sqlite":
        return int(_seconds() * 1000)
    return int(connection.execute(text("SELECT extract(epoch FROM clock_timestamp()) * 1000")).scalar_one())


def _boot() -> str:
    """What tells this run of the machine from an earlier one, where the system says so."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def _process_space() -> str:
    """Containers with one name have processes of their own all the same."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


_BOOT = _boot()
_HOST = f"{socket.gethostname()}|{_BOOT}|{_process_space()}"


def _process(pid: int) -> str:
    """A process of this machine, told apart from another one that has its number later."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{pid}:{started}"


def _has_ended(host: str, process: str, on_file: bool) -> bool:
    """Whether a node is gone, which need not be waited for: its process has ended, or its machine was started anew.

    On a file all nodes are of one machine, and speak of its clock since it was started.
    """
    if on_file and host.split("|")[1:2] != [_BOOT]:
        return True
    return host == _HOST and bool(process) and _process(int(process.partition(":")[0])) != process
