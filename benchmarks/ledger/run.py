"""One run: lives of gateway processes on one database under load, the last of which works off what is owed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.ledger.books import CALL, Books, faults
from benchmarks.ledger.clients import Clients
from benchmarks.ledger.disk import Disk
from benchmarks.ledger.doors import ASKED, Door, Smsbats
from benchmarks.ledger.lives import Life, Node, Nursery, nursery
from benchmarks.ledger.places import PLACES, SELDOM, Outside, Place
from gateway.listener import bind, listening
from gateway.points import Point
from tests.support.postgres import new_database
from tests.support.servers import accounts, free_address, write_mappings

HOOK = "hook-of-the-ledger-0123"
#: Connections of clients to each node; seconds that SMSBAT takes to answer a call, and half of those until a report.
_CONNECTIONS, _LATENCY, _PACE = 24, 0.01, 0.05
#: Seconds: the longest life that ends at random, how long a life waits for its place, and how long a worker's death
#: is left to its siblings before the rest of the node is killed.
_LONGEST, _PATIENCE, _AFTER_A_WORKER = 2.4, 4.0, 0.5
#: Tries before a place counts as one that can't be hit.
_TRIES = 12
#: Seconds that a message is held, with some to spare: before that, none is due.
_HELD = 62.0
#: Seconds for the last life without anything new in the books, after which what is owed counts as lost.
_NO_MORE = 75.0


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Which database, how many nodes on it, and how many workers in each."""

    database: str
    nodes: int = 1
    workers: int = 1

    def __str__(self) -> str:
        kind = f"--workers {self.workers}" if self.workers > 1 else f"{self.nodes} node{'s' * (self.nodes > 1)}"
        return f"{self.database}, {kind}"


@dataclass(slots=True)
class Result:
    """What one run came to."""

    arrangement: Arrangement
    books: Books
    missed: list[Place]
    seconds: float
    problems: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """What must not be; nothing when all is well."""
        return [*faults(self.books, self.missed), *self.problems]


class Agenda:
    """Where the next life is to end: at each place once, at random moments otherwise."""

    def __init__(self, places: Sequence[Place], kills: int, passings: int, dice: random.Random) -> None:
        self._passings = passings
        self._dice = dice
        self._began = time.monotonic()
        moments: list[Place | None] = [None] * max(0, kills - len(places))
        self._left: deque[Place | None] = deque(dice.sample([*places, *moments], len(places) + len(moments)))
        self._tries = dict.fromkeys(places, 0)

    def next(self) -> tuple[Place | None, int]:
        """The next life's place and passing. Raises ``IndexError`` when there is none left."""
        place = self._left.popleft()
        if place is Point.DELAYED_DUE and self._too_early and self._left:
            self._left.append(place)
            place = self._left.popleft()
        if place is None:
            return None, 0
        self._tries[place] += 1
        chosen = self._dice.randint(1, self._passings) if place not in SELDOM and self._tries[place] == 1 else 1
        return place, chosen

    @property
    def _too_early(self) -> bool:
        return time.monotonic() - self._began < _HELD

    def again(self, place: Place) -> None:
        """A life did not come to its place: another one may."""
        if self._tries[place] < _TRIES:
            self._left.append(place)

    def missed(self, books: Books) -> list[Place]:
        """Places where no life ended."""
        hit = {kill.place for kill in books.kills}
        return [place for place in self._tries if place not in hit]


@dataclass(slots=True)
class Run:
    """One arrangement under load."""

    arrangement: Arrangement
    books: Books
    nursery: Nursery
    nodes: list[Node]
    smsbats: Smsbats
    disk: Disk
    agenda: Agenda
    dice: random.Random
    #: Where bulk requests want their end told.
    bulk_script: str
    lives: dict[int, Life]
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    problems: list[str] = field(default_factory=list)

    async def kill_all_the_time(self) -> None:
        """Every node's lives, until the agenda is done."""
        await asyncio.gather(*(self._lives(node) for node in self.nodes))

    async def _lives(self, node: Node) -> None:
        while True:
            try:
                place, nth = self.agenda.next()
            except IndexError:
                return
            life = await self._begin(node, place, nth)
            if place is None:
                await self._a_moment(life)
            elif not await node.died_at_its_place(life, _PATIENCE):
                self.agenda.again(place)
            else:
                await self._rest_of(life, place)
            await node.end(life)
            await self._read(self.books.submitted[life.number])

    async def _read(self, ids: Collection[str]) -> None:
        """Write down which of these messages SMSBAT has, as the disk says."""
        taken = await asyncio.to_thread(self.disk.taken, list(ids))
        self.books.was_on_disk(taken, time.monotonic())

    async def _rest_of(self, life: Life, place: Place) -> None:
        """Wait for the end of what was killed at a place; a worker's siblings go on for a while."""
        if self.arrangement.workers == 1 or isinstance(place, Outside):
            await life.ended.wait()
        else:
            # At once: its siblings may call for it from now on.
            await self._read(self.books.submitted[life.number])
            await asyncio.sleep(self.dice.uniform(0, _AFTER_A_WORKER))

    async def _a_moment(self, life: Life) -> None:
        """Live for a while; it must not end by itself."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(life.ended.wait(), self.dice.uniform(0, _LONGEST))
            self.problems.append(f"life {life.number} ended by itself")

    async def _begin(self, node: Node, place: Place | None, nth: int) -> Life:
        life = await node.begin(self.nursery, next(self.numbers), place, nth)
        self.lives[life.number] = life
        # SMSBAT's webhook leads to whoever is there.
        self.smsbats.told.teller.hook = f"http://{node.address}/hooks/{HOOK}"
        return life

    async def work_off(self) -> None:
        """The last life: everything that is owed is done, or nothing new happens for a while."""
        lives = [await self._begin(node, None, 0) for node in self.nodes]
        seen, since = (0, 0, 0), time.monotonic()
        while await self._is_owed() and time.monotonic() - since < _NO_MORE:
            await asyncio.sleep(0.1)
            if (now := (len(self.books.calls), self.books.tellings, len(self.books.on_disk))) != seen:
                seen, since = now, time.monotonic()
        for life in lives:
            await life.kill()

    async def _is_owed(self) -> bool:
        """Whether anything is to be sent, told, or written down yet."""
        books = self.books
        called = books.calls.keys() - books.on_disk.keys()
        await self._read(called)
        books.unwritten = called - books.on_disk.keys()
        return bool(books.lost or books.untold or books.unwritten)


async def run(
    arrangement: Arrangement, kills: int, seed: int, places: Sequence[Place] = PLACES, passings: int = 120
) -> Result:
    """Kill at each of these places and at random moments, so many times at least, and compare the books.

    Of a frequent place, one of the first ``passings`` is chosen.
    """
    began, books = time.monotonic(), Books()
    dice = random.Random(f"{seed} {arrangement}")
    agenda = Agenda(places, kills, passings, dice)
    async with _set_up(arrangement, books, agenda, dice) as run:
        # The last life waits for what is held: what no place needs any more, is not sent.
        clients = Clients(
            books, dice, run.bulk_script, Point.STATUS_READ in places, lambda: Point.DELAYED_DUE in agenda.missed(books)
        )
        sending = [asyncio.create_task(clients.send(node.address)) for node in run.nodes for _ in range(_CONNECTIONS)]
        try:
            await run.kill_all_the_time()
        finally:
            for each in sending:
                each.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
        await run.work_off()
    return Result(arrangement, books, agenda.missed(books), time.monotonic() - began, run.problems)


@contextlib.asynccontextmanager
async def _set_up(arrangement: Arrangement, books: Books, agenda: Agenda, dice: random.Random) -> AsyncIterator[Run]:
    """Everything but the gateway, at work while the block runs."""
    # Where killed gateways leave things; the other is read when the metrics are imported, which is before the fork.
    folders = ("TMPDIR", "PROMETHEUS_MULTIPROC_DIR") if arrangement.workers > 1 else ("TMPDIR",)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger-")))
        bearing = await stack.enter_async_context(nursery(dict.fromkeys(folders, str(folder))))
        smsbats = Smsbats(books, _LATENCY, _PACE)
        stack.push_async_callback(smsbats.close)
        database = new_database() if arrangement.database == "postgresql" else f"sqlite:///{folder / 'gateway.db'}"
        disk = stack.enter_context(contextlib.closing(Disk(database)))
        lives: dict[int, Life] = {}

        def unanswered(number: int, place: Outside) -> None:
            if number in lives:
                lives[number].unanswered(place)

        address = free_address()
        await stack.enter_async_context(listening(Door(smsbats, books, unanswered), [bind(address)]))
        door = f"http://{address}"
        nodes = [
            _node(folder / f"node-{each}", arrangement, database, door, books) for each in range(arrangement.nodes)
        ]
        # Of no life: whoever has the work, tells it.
        yield Run(arrangement, books, bearing, nodes, smsbats, disk, agenda, dice, f"{door}/0/partner/ok", lives)


def _node(folder: Path, arrangement: Arrangement, database: str, door: str, books: Books) -> Node:
    """A place for gateway processes, the mapping files of which lead each life to the others by its own path."""
    folder.mkdir()
    listen, operator = free_address(), free_address()
    options = {
        "listen": listen,
        "operator-listen": operator,
        "mappings": str(folder / "mappings"),
        "database": database,
        "media": str(folder / "media"),
        "workers": str(arrangement.workers),
        "log-format": "json",
        "log-level": "error",
    }
    arguments = ["serve", *(f"--{name}={value}" for name, value in options.items())]

    def configure(life: int) -> None:
        write_mappings(folder / "mappings", _accounts(f"{door}/{life}"))

    return Node(folder, arguments, listen, configure, books)


def _accounts(url: str) -> dict[str, Any]:
    """The account that SMSBAT tells by webhook, and one under another SMSBAT login, which is to be asked."""
    callback = {
        "url": f"{url}/partner/ok",
        "private": True,
        "schedule": {"steps": [{"minutes": 0.005}], "give_up": 60},
    }
    content = accounts(url, {"messages_per_call": CALL}, {"callback": callback, "hook": HOOK}, smsby={})
    content["smsbat"]["asked"] = {**content["smsbat"]["main"], "url": f"{url}/{ASKED}", "reads_per_second": 150}
    shop = content["accounts"]["shop"]
    shop["smsbat"] = "asked"
    shop["logins"]["messagio"]["callback"] = callback
    return content
