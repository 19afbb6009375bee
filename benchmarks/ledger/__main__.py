"""The long form: ``make ledger``. Exit code 1 when anything is lost, or doubled where it may not be."""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from benchmarks.ledger.books import CALL
from benchmarks.ledger.run import Arrangement, Result, run
from benchmarks.ledger.table import table_of

DATABASES = ("sqlite", "postgresql")
#: Nodes and workers.
SHAPES = {"one": (1, 1), "two": (2, 1), "workers": (1, 2)}


def ledger(
    kills: Annotated[int, typer.Option(min=1, help="At least so many, over all arrangements.")] = 510,
    seed: Annotated[int | None, typer.Option(help="Of an earlier run, to repeat its choices.")] = None,
    database: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(DATABASES)}; several by repeating.")
    ] = None,
    shape: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(SHAPES)}; several by repeating.")] = None,
) -> None:
    """Kill gateways under load, and compare the books of clients, SMSBAT and partner."""
    chosen = seed if seed is not None else random.randrange(2**32)
    arrangements = [Arrangement(each, *SHAPES[name]) for each in database or DATABASES for name in shape or SHAPES]
    console = Console(width=190)
    console.print(f"seed {chosen}: {kills} kills or more in {len(arrangements)} arrangements")
    results = []
    for arrangement in arrangements:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            results.append(runner.run(run(arrangement, -(-kills // len(arrangements)), chosen)))
        _tell(console, results[-1])
    console.print(table_of(results))
    console.print(f"A call holds {CALL} messages at most. Every kill is a SIGKILL.")
    sys.exit(1 if any(result.faults for result in results) else 0)


def _tell(console: Console, result: Result) -> None:
    console.print(f"{result.arrangement}: {len(result.books.kills)} kills in {result.seconds:.0f} s", end="")
    console.print(", all well" if not result.faults else f"; WRONG: {', '.join(result.faults)}")


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(ledger)
    app()
