"""The tables of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.side_by_side import special
from benchmarks.side_by_side.contenders import BASELINE, CONTENDERS
from benchmarks.side_by_side.figures import Results, Spread, ratios
from benchmarks.side_by_side.points import LIMITED, Point, Turn
from benchmarks.side_by_side.targets import FLUSH, requirements
from benchmarks.tables import Table

_MIB = 2**20
_NOTHING = "-"
#: What others may have of a server's core without a word.
_DISTURBED = 0.1
_TITLES = {name: each.title for name, each in CONTENDERS.items()} | {
    special.FULL: "gateway, SQLite, 5 million messages",
    special.EMPTY: "gateway, SQLite, none",
}
_OTHERS = {
    special.REPORTED_MESSAGES: ".0f",
    special.REPORTS: ".0f",
    special.REPORTED_CALLBACKS: ".0f",
    special.CATCH_UP: ".1f",
    special.UNTOLD: ".0f",
    special.BACKLOG: ".0f",
    special.START_FRESH: ".2f",
    special.START_AGAIN: ".2f",
}


def tables(results: Results) -> list[Table]:
    """What is required first, then every point, then the rest."""
    points = list(dict.fromkeys(point for point, _ in results.turns))
    return [_required(results), *(_at_point(results, point) for point in points), _rest(results)]


def _required(results: Results) -> Table:
    rows = [
        [each.text, each.target, each.measured.written(each.form) if each.measured else _NOTHING, each.verdict]
        for each in requirements(results)
    ]
    return Table("What is required", ["gateway, SQLite, everything on", "required", "measured", ""], rows)


def _at_point(results: Results, point: Point) -> Table:
    columns = ["", "messages/s", "times Starlette + httpx", "p50 ms", "p99 ms", "CPU µs a message", "peak MiB"]
    columns += ["429s", "messages a call"] if point == LIMITED else []
    names = [name for where, name in results.turns if where == point]
    return Table(point.title, [*columns, "remarks"], [_row(results, point, name) for name in names])


def _row(results: Results, point: Point, name: str) -> list[str]:
    turns = results.turns[point, name]
    against = ratios(results.rates(point, name), results.rates(point, BASELINE))
    cells = [
        _TITLES[name],
        Spread.of(results.rates(point, name)).written(),
        against.written(".2f") if against else _NOTHING,
        _middle([turn.load.p50 * 1000 for turn in turns], ".2f"),
        _middle([turn.load.p99 * 1000 for turn in turns], ".1f"),
        _middle([turn.cpu_per_message * 1e6 for turn in turns], ".0f"),
        _middle([turn.peak_memory / _MIB for turn in turns], ".0f"),
    ]
    if point == LIMITED:
        cells += [f"{max(turn.too_many for turn in turns)}", f"{max(turn.largest_call for turn in turns)} at most"]
    return [*cells, _remarks(name, point, turns)]


def _remarks(name: str, point: Point, turns: Sequence[Turn]) -> str:
    contender = CONTENDERS.get(name)
    said = []
    if contender and contender.early:
        said.append(f"answers before it relays: {_middle([turn.answers_rate for turn in turns], '.0f')} answers/s")
    if point != LIMITED and any(turn.left for turn in turns):
        said.append(f"{max(turn.left for turn in turns)} answered and not relayed")
    if any(turn.doubles for turn in turns):
        said.append(f"{max(turn.doubles for turn in turns)} relayed twice")
    refused, broken = (sum(each) for each in zip(*((t.load.refused, t.load.broken) for t in turns), strict=True))
    disturbed = max(turn.disturbed for turn in turns)
    said += [f"others had up to {disturbed:.0%} of its core"] if disturbed > _DISTURBED else []
    said += [f"{refused} refused"] if refused else []
    said += [f"{broken} broken or timed out"] if broken else []
    return "; ".join(said)


def _rest(results: Results) -> Table:
    rows = [
        [name, Spread.of(results.others[name]).written(form)] for name, form in _OTHERS.items() if results.others[name]
    ]
    flushes = [each * 1000 for each in results.others[FLUSH]]
    rows += [["one disk flush (fdatasync), ms", Spread.of(flushes).written(".2f")]] if flushes else []
    return Table("Gateway on SQLite, one core: reports, callbacks, start", ["", "median (least..most)"], rows)


def unrest(results: Results) -> str:
    """A warning when others worked on the machine meanwhile; blank when it was quiet."""
    disturbed = max((turn.disturbed for turns in results.turns.values() for turn in turns), default=0.0)
    if disturbed <= _DISTURBED:
        return ""
    return f" **The machine was not quiet: other programs had up to {disturbed:.0%} of a server's core.**"


def commands(results: Results) -> str:
    """What was run, as a Markdown block."""
    lines = [line for what, whole in results.commands.items() for line in [f"# {what}", *whole]]
    return "### Commands\n\n```\n" + "\n".join(lines) + "\n```\n"


def _middle(figures: Sequence[float], form: str) -> str:
    return format(Spread.of(figures).median, form)
