"""Tables for the terminal and, in Markdown, for a page that keeps them between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first column names them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def print(self) -> None:
        """Show it on the terminal."""
        shown = RichTable(title=self.title, title_justify="left")
        for number, column in enumerate(self.columns):
            shown.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            shown.add_row(*row)
        Console(width=None if Console().is_terminal else 200).print(shown)

    @property
    def markdown(self) -> str:
        """The same for a page."""
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        return f"### {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def replace_measured(page: Path, measured: str) -> None:
    """Put text between the page's marks, instead of what is there. Raises ``ValueError`` when it has none."""
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines '{_BEGIN}' and '{_END}'")
    page.write_text(f"{before}{begin}\n\n{measured.strip()}\n\n{end}{after}")
