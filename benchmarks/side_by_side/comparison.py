"""The whole comparison: everybody at every point, in rounds, and then what is not a turn under load."""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.side_by_side import machine, report, special
from benchmarks.side_by_side.contenders import (
    AIOHTTP,
    BASELINE,
    CONTENDERS,
    GATEWAY,
    GATEWAY_POSTGRES,
    KANNEL,
    NGINX_BARE,
    NGINX_LUA,
    Contender,
    Form,
    Running,
    Site,
)
from benchmarks.side_by_side.figures import Results
from benchmarks.side_by_side.points import DELAYED, LIMITED, MOST, ONE, SIXTEEN, SIXTY_FOUR, Bench, Point
from benchmarks.side_by_side.requests import kannel, legacy, write_requests
from benchmarks.side_by_side.seeding import seed
from benchmarks.side_by_side.standin import running_standin
from benchmarks.side_by_side.targets import FLUSH
from benchmarks.tables import Table

#: Without these nothing can be compared.
_NEEDED = frozenset({"wrk", "nginx", "libnginx-mod-http-lua", "lua-cjson", "util-linux"})
_AT_DELAY = frozenset({BASELINE, AIOHTTP, KANNEL, NGINX_LUA, NGINX_BARE, GATEWAY, GATEWAY_POSTGRES})
_AT_LIMIT = (BASELINE, GATEWAY)
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Extent:
    """How long and how often: seconds of load in a turn, rounds; callbacks in the backlog."""

    seconds: int
    rounds: int
    owed: int = 20_000

    @classmethod
    def quick(cls) -> Extent:
        """One round of the shortest turns."""
        return cls(1, 1, 5_000)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it: machine and date, tables, and the commands."""

    heading: str
    tables: Sequence[Table]
    words: str


def compare(extent: Extent, only: Sequence[str] | None, folder: Path, with_full: bool) -> Comparison:
    """Measure these contenders, or all and the other figures too. Ends the program when that can't be."""
    chosen = choose(only or [*CONTENDERS], machine.missing())
    results = Results()
    with _site(folder) as site:
        heading = machine.description(site.folder)
        print(heading)
        _measure(_Run(site, extent, results), chosen, everything=only is None, with_full=with_full)
        words = _elsewhere(report.commands(results), site.folder)
    told = f"Measured {heading}. {extent.rounds} rounds, {extent.seconds} s a turn.{report.unrest(results)}"
    return Comparison(told, report.tables(results), words)


def _elsewhere(commands: str, folder: Path) -> str:
    """Commands without the places of this machine."""
    for place, name in ((str(folder), "$FOLDER"), (f"{_ROOT}/", ""), (sys.executable, "python")):
        commands = commands.replace(place, name)
    return re.sub(r"'postgresql:[^']*'", "$DATABASE", commands)


def choose(names: Sequence[str], missing: set[str]) -> list[Contender]:
    """Those that need none of the missing packages; says who is left out. Ends the program without wrk and nginx."""
    if missing & _NEEDED:
        sys.exit(f"The comparison can't be made; {machine.said(missing)}")
    skipped = [name for name in names if CONTENDERS[name].packages & missing]
    if skipped:
        print(f"Left out: {'; '.join(CONTENDERS[name].title for name in skipped)}; {machine.said(missing)}")
    return [CONTENDERS[name] for name in names if name not in skipped]


@contextmanager
def _site(folder: Path) -> Iterator[Site]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=folder.resolve()) as name:
        place = Path(name)
        with running_standin(place / "smsbat") as standin:
            yield Site(place, standin)


class _Run:
    """One comparison as it goes."""

    def __init__(self, site: Site, extent: Extent, results: Results) -> None:
        self.site = site
        self.extent = extent
        self.results = results
        forms: dict[Form, Callable[[str, str], bytes]] = {"legacy": legacy, "kannel": kannel}
        requests = {name: write_requests(site.folder / f"{name}.requests", form) for name, form in forms.items()}
        self.bench = Bench(site.standin, requests, extent.seconds)

    def life(self, contender: Contender, points: Sequence[Point], limited: bool = False) -> None:
        """Start one, give it its turns, stop it."""
        with contender.serving(self.site, limited) as running:
            self._remember(contender, running)
            self.bench.warm_up(contender, running)
            for point in points:
                turn = self.bench.turn(contender, running, point)
                self.results.turns[point, contender.name].append(turn)
                print(f"  {contender.title:<40} {point.title:<52} {turn.rate:9.0f} messages/s", flush=True)

    def _remember(self, contender: Contender, running: Running) -> None:
        self.results.commands[contender.title] = [shlex.join(server.command) for server in running.servers]


def _measure(run: _Run, chosen: Sequence[Contender], *, everything: bool, with_full: bool) -> None:
    full = _filled(run.site.folder / "full") if with_full else None
    for number in range(run.extent.rounds):
        print(f"Round {number + 1} of {run.extent.rounds}", flush=True)
        run.results.others[FLUSH].append(machine.flush_seconds(run.site.folder))
        # The other way round every time: what the machine does meanwhile is nobody's advantage.
        for contender in chosen if number % 2 == 0 else reversed(chosen):
            run.life(contender, _points(contender))
        for name in _AT_LIMIT:
            if CONTENDERS[name] in chosen:
                run.life(CONTENDERS[name], [LIMITED], limited=True)
        if full is not None:
            special.full(run.site, run.bench, full, run.results)
        if everything:
            special.reports(run.site, run.bench, run.results)
            special.backlog(run.site, run.extent.owed, run.results)
            special.starts(run.site, run.results)
    run.results.commands.update({point.title: [command] for point, command in run.bench.commands.items()})


def _filled(folder: Path) -> Path:
    print(f"Writing {special.FULL_COUNT} messages into a database", flush=True)
    return seed(folder, special.FULL_COUNT)


def _points(contender: Contender) -> list[Point]:
    """What runs in two processes is measured where that counts."""
    usual = [SIXTY_FOUR, MOST] if contender.core is None else [ONE, SIXTEEN, SIXTY_FOUR, MOST]
    return [*usual, *([DELAYED] if contender.name in _AT_DELAY else [])]
