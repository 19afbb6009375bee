"""The lives of gateway processes on one database, from the side of who ends them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from benchmarks.ledger.books import Books, Kill
from benchmarks.ledger.node import Birth, kill_group
from benchmarks.ledger.places import Outside, Place, place_named
from benchmarks.side_by_side.processes import is_open
from gateway.errors import ConfigurationError
from gateway.listener import bind
from gateway.points import Point
from gateway.settings import Address

#: Seconds between looks at what has no event.
_LOOK = 0.01
#: Seconds that a life may take to begin to listen, on a machine that others use too.
_BIRTH = 60.0
_ROOT = Path(__file__).parents[2]


class Nursery:
    """The process that gateway processes are forked from."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lock = asyncio.Lock()

    async def born(self, birth: Birth) -> int:
        """Let a process begin; returns its number."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        async with self._lock:
            stdin.write(json.dumps(dataclasses.asdict(birth)).encode() + b"\n")
            return int(await stdout.readline())


@contextlib.asynccontextmanager
async def nursery(environment: dict[str, str]) -> AsyncIterator[Nursery]:
    """A nursery while the block runs. What it bore ends with it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.ledger.node"),
        cwd=_ROOT,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # What ends the harness must not end it too: it still has to kill what it bore.
        start_new_session=True,
    )
    try:
        yield Nursery(process)
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()


class Life:
    """One gateway process, with its workers if it has some. At an ``Outside`` place it dies at the n-th passing."""

    def __init__(self, number: int, process: int, place: Place | None, nth: int) -> None:
        self.number = number
        self.place = place
        self.killed_outside: float | None = None
        self._process = process
        self._passings = itertools.count(1)
        self._nth = nth
        self._end = os.pidfd_open(process)
        self.ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._end, self._note_end)

    def _note_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._end)
        self.ended.set()

    async def kill(self) -> None:
        """SIGKILL to all of it, at once."""
        kill_group(self._process, self._end)
        await self.ended.wait()
        os.close(self._end)

    def unanswered(self, place: Outside) -> None:
        """The other side has a whole request of it, and has not answered."""
        if place is self.place and not self.ended.is_set() and next(self._passings) == self._nth:
            self.killed_outside = time.monotonic()
            kill_group(self._process, self._end)


class Node:
    """One place for gateway processes, which live there one after another. ``configure`` makes it ready for a life."""

    def __init__(
        self, folder: Path, arguments: list[str], address: Address, configure: Callable[[int], None], books: Books
    ) -> None:
        self.address = address
        self.log, self._marks = folder / "log", folder / "marks"
        self._marks.touch()
        self._read = 0
        self._arguments = arguments
        self._configure = configure
        self._books = books

    async def begin(self, nursery: Nursery, number: int, place: Place | None, nth: int) -> Life:
        """A new life, once nothing of the last one is left."""
        await self._until_free()
        self._configure(number)
        point = place if isinstance(place, Point) else None
        birth = Birth(self._arguments, str(self.log), str(self._marks), point, nth)
        return Life(number, await nursery.born(birth), place, nth)

    async def _until_free(self) -> None:
        """Workers may outlive their parent by a moment."""
        while True:
            try:
                bind(self.address).close()
            except ConfigurationError:
                await asyncio.sleep(_LOOK)
            else:
                return

    async def died_at_its_place(self, life: Life, seconds: float) -> bool:
        """Whether the whole node or one of its workers was killed where it was to be, so soon after it listened."""
        until, listens = time.monotonic() + _BIRTH, False
        while time.monotonic() < until:
            # Looked at first: it notes its place before it ends.
            ended = life.ended.is_set()
            if self._note_kills(life):
                return True
            if ended:
                return False
            if not listens and (listens := is_open(self.address)):
                until = time.monotonic() + seconds
            await asyncio.sleep(_LOOK)
        return False

    def _note_kills(self, life: Life) -> bool:
        """Write down the kills at a place that happened since the last look; whether there are any."""
        noted = self._marks.read_text()[self._read :]
        self._read += len(noted)
        kills = [line.split("\t") for line in noted.splitlines()]
        self._books.kills += [Kill(life.number, float(at), place_named(point)) for at, point in kills]
        outside, life.killed_outside = life.killed_outside, None
        if outside is not None:
            self._books.kills.append(Kill(life.number, outside, life.place))
        return bool(kills) or outside is not None

    async def end(self, life: Life) -> None:
        """Kill it now, if it is still there."""
        at, was_there = time.monotonic(), not life.ended.is_set()
        await life.kill()
        # It was there until the last moment, unless it died at its place meanwhile.
        if not self._note_kills(life) and was_there:
            self._books.kills.append(Kill(life.number, at, None))
