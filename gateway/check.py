"""The ``check`` command."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.core.addresses import is_address, may_reach
from gateway.mapping.accounts import Accounts
from gateway.mapping.coverage import Coverage, coverage
from gateway.mapping.dialect import DialectPlan
from gateway.mapping.loader import gets_pictures, load_dialects
from gateway.mapping.source import MappingError
from gateway.settings import NO_PUBLIC_URL

_COLOURS = {"mapped": "green", "refused": "yellow", "ignored": "dim"}


def run_check(directory: Path, public_url: str | None) -> bool:
    """Validate a folder and print what its dialects cover; false when something is wrong."""
    console = Console(highlight=False, emoji=False)
    try:
        plans, accounts = load_dialects([directory])
    except MappingError as error:
        for problem in error.problems:
            console.print(f"[red]{escape(str(problem))}[/]", soft_wrap=True)
        console.print(f"{len(error.problems)} problem(s).")
        return False
    for plan in plans:
        console.print(_table(plan))
        console.print(f"   {len(plan.file.examples)} worked examples come out as the file says.\n")
    for note in _notes(plans, accounts, public_url):
        console.print(f"[yellow]Note: {escape(note)}.[/]", soft_wrap=True)
    console.print("[green]All mapping files are in order.[/]")
    return True


def _notes(plans: Sequence[DialectPlan], accounts: Accounts | None, public_url: str | None) -> Iterator[str]:
    """What is no fault of the files, and yet not what is wanted."""
    if accounts is None:
        yield "there is no file of accounts here, without which nothing is served"
        return
    if public_url is None and gets_pictures(plans, accounts):
        yield NO_PUBLIC_URL
    for (account, dialect), target in accounts.targets.items():
        host = urlsplit(target.url).hostname or ""
        if is_address(host) and not may_reach(host, target.private):
            yield (
                f"the script that account '{account}' has for {dialect} is at an address that callbacks do not reach"
                " as the file stands; in a private network it needs 'private: true'"
            )


def _table(plan: DialectPlan) -> Table:
    table = Table(
        box=None,
        title=f"{plan.file.title} ({plan.name})",
        title_justify="left",
        header_style="dim",
        padding=(0, 2, 0, 3),
    )
    rows = coverage(plan)
    with_endpoints = any(row.endpoint for row in rows)
    for head in (*(("endpoint",) if with_endpoints else ()), "parameter", "fate", "why"):
        table.add_column(head)
    for row, repeats in zip(rows, [False, *(_same(*pair) for pair in itertools.pairwise(rows))], strict=True):
        where = () if not with_endpoints else ("",) if repeats else (escape(row.endpoint),)
        table.add_row(*where, escape(row.parameter), f"[{_COLOURS[row.fate]}]{row.fate}[/]", escape(row.why))
    return table


def _same(before: Coverage, row: Coverage) -> bool:
    return before.endpoint == row.endpoint
