"""The books as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.ledger.places import PLACES
from benchmarks.ledger.run import Result

_COLUMNS = (
    "arrangement",
    "kills",
    "at points",
    "points hit",
    "accepted",
    "lost",
    "reports owed",
    "lost",
    "unknown to clients",
    "refused, sent",
    "doubles: no answer",
    "answer not on disk",
    "for at most",
    "outside",
    "most a kill",
    "largest call",
    "two ids",
)


def table_of(results: Sequence[Result]) -> Table:
    """One row for each arrangement, and their sum."""
    table = Table(*_COLUMNS, title="The ledger", title_justify="left")
    for result in results:
        table.add_row(str(result.arrangement), *map(str, _figures(result)))
    return table


def _figures(result: Result) -> list[int | str]:
    books, doubles = result.books, result.books.doubles()
    return [
        len(books.kills),
        sum(kill.place is not None for kill in books.kills),
        f"{len({kill.place for kill in books.kills} & set(PLACES))} of {len(PLACES)}",
        len(books.accepted),
        len(books.lost),
        len(books.owed) + len(books.bulks),
        len(books.untold),
        books.unknown,
        len(books.refused_and_sent),
        doubles.unanswered,
        doubles.unwritten,
        f"{doubles.longest:.2f} s",
        doubles.outside,
        doubles.most,
        books.largest_call,
        len(books.under_two_ids),
    ]
