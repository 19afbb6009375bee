"""Under which conditions contenders are compared, and one turn of one of them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.side_by_side import wrk
from benchmarks.side_by_side.contenders import Contender, Form, Running
from benchmarks.side_by_side.processes import LOAD_CORE, core_seconds
from benchmarks.side_by_side.standin import AT_ONCE, Behaviour, Counts, StandIn
from benchmarks.side_by_side.wrk import Load

#: Seconds that a relay gets after the load to pass on what it has answered.
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Point:
    """So many connections in front of an SMSBAT that behaves like this, ``turns`` times as long as a usual turn."""

    title: str
    connections: int
    behaviour: Behaviour = AT_ONCE
    turns: int = 1


ONE = Point("1 connection, SMSBAT answers at once", 1)
SIXTEEN, SIXTY_FOUR, MOST = (Point(f"{each} connections, SMSBAT answers at once", each) for each in (16, 64, 256))
DELAYED = Point("256 connections, SMSBAT answers after 50 ms", 256, Behaviour(delay=0.05))
_WARM_UP = Point("warm-up", 16)
LIMITED = Point("64 connections, SMSBAT takes 100 calls a second", 64, Behaviour(limited=True), turns=2)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn came to. Messages were answered and ``relayed`` within ``seconds``; ``load`` is what wrk saw."""

    load: Load
    relayed: int
    seconds: float
    cpu_seconds: float
    peak_memory: int
    too_many: int
    largest_call: int
    doubles: int
    #: The part of the server's core that other programs had meanwhile.
    disturbed: float

    @property
    def messages(self) -> int:
        """What was relayed at the end for clients that were gone before their answers, does not count."""
        return min(self.relayed, self.load.answers)

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def answers_rate(self) -> float:
        """Answers a second."""
        return self.load.answers / self.load.seconds

    @property
    def cpu_per_message(self) -> float:
        """Seconds of processor time."""
        return self.cpu_seconds / max(1, self.messages)

    @property
    def left(self) -> int:
        """Answered and never relayed: refused by answers that look good, or lost."""
        return max(0, self.load.answers - self.relayed)


class Bench:
    """Loads contenders; ``requests`` are the files of prepared requests."""

    def __init__(self, standin: StandIn, requests: Mapping[Form, Path], seconds: int) -> None:
        self._standin = standin
        self._requests = requests
        self._seconds = seconds
        #: The first command of each point.
        self.commands: dict[Point, str] = {}

    def warm_up(self, contender: Contender, running: Running) -> None:
        """A second of load before any figure counts: connections are made, code is compiled."""
        self._standin.reset()
        self._standin.pin(contender.core)
        self._relayed(contender, self._load(contender, running, _WARM_UP, 1))

    def turn(self, contender: Contender, running: Running, point: Point) -> Turn:
        """One turn."""
        self._standin.wait_until_quiet()
        self._standin.reset(point.behaviour)
        core, before, began = contender.core, running.cpu_seconds, time.monotonic()
        core_before = core_seconds(core) if core is not None else 0.0
        load = self._load(contender, running, point, self._seconds * point.turns)
        counts, behind = self._relayed(contender, load, point.behaviour.limited)
        relayed = counts.messages if contender.relays else load.answers
        cpu, seconds = running.cpu_seconds - before, load.seconds + behind
        others = core_seconds(core) - core_before - cpu if core is not None else 0.0
        disturbed = max(0.0, others / (time.monotonic() - began))
        memory = running.peak_memory
        calls = (counts.too_many, counts.largest_call, counts.doubles)
        return Turn(load, relayed, seconds, cpu, memory, *calls, disturbed)

    def _load(self, contender: Contender, running: Running, point: Point, seconds: int) -> Load:
        core, requests = LOAD_CORE if contender.core is not None else None, self._requests[contender.form]
        command = wrk.command(running.address, requests, point.connections, seconds, core)
        self.commands.setdefault(point, shlex.join(command))
        return wrk.run(command, seconds)

    def _relayed(self, contender: Contender, load: Load, limited: bool = False) -> tuple[Counts, float]:
        """Wait until all that was answered is relayed; the counts, and how many seconds that took.

        A relay that passes SMSBAT's 429 on will never have relayed all that it answered.
        """
        if not contender.relays or (limited and not contender.early):
            time.sleep(0.1)
            return self._standin.counts, 0.0
        return self._standin.wait_until(lambda counts: counts.messages >= load.answers, _PATIENCE)
