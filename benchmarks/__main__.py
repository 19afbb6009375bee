"""``make bench``: what a send costs stage by stage, and the gateway beside its rivals."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import stages
from benchmarks.side_by_side.comparison import Extent, compare
from benchmarks.side_by_side.contenders import CONTENDERS
from benchmarks.tables import Table, replace_measured


def main() -> None:
    """Measure, print, and write the page if one is named."""
    options = _options()
    extent = Extent.quick() if options.quick else Extent(options.seconds, options.rounds)
    costs = [] if options.only else [stages.table()]
    _print(costs)
    comparison = compare(extent, options.only, options.folder, options.full)
    _print(comparison.tables)
    print(comparison.words)
    if options.write:
        tables = "\n".join(table.markdown for table in [*comparison.tables, *costs])
        replace_measured(options.write, f"{comparison.heading}\n\n{tables}\n{comparison.words}")


def _print(tables: Sequence[Table]) -> None:
    for table in tables:
        table.print()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=int, default=2, help="seconds of load in a turn (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds in which everybody has a turn (default 3)")
    parser.add_argument("--quick", action="store_true", help="one round of one second: some two minutes, no spread")
    parser.add_argument("--full", action="store_true", help="also a database with 5 million messages: minutes more")
    parser.add_argument("--only", nargs="+", choices=[*CONTENDERS], help="these alone, without the other figures")
    parser.add_argument("--folder", type=Path, default=Path("build"), help="for databases, on a real disk")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this Markdown page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
