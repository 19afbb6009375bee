"""An explanation for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.explain.explanation import Explanation, ItemField, SignatureCheck

#: More messages than this are only counted.
SHOWN_MESSAGES = 3


def render(told: Explanation, console: Console) -> None:
    """Print all steps."""
    console.print(f"[bold]1. Request[/]  {escape(told.request)}  ->  dialect {told.dialect}  [dim]{told.endpoint}[/]")
    _fields(told, console)
    _signature(told.signature, console)
    if told.assumed:
        console.print("[yellow]   What follows is what it would be with a right signature.[/]")
    _items(told, console)
    _answer(told, console)


def _fields(told: Explanation, console: Console) -> None:
    if not told.fields:
        console.print("[bold]2. Fields[/]   none were read")
        return
    console.print(f"[bold]2. Fields[/]   text in {told.charset}")
    rows = ((each.name, each.raw, _read_as(each.value), each.fate, each.origin) for each in told.fields)
    console.print(_table(("name", "as sent", "read as", "what becomes of it", "from"), rows))


def _read_as(value: object) -> str:
    """A value as it was understood; a text with line breaks on one line."""
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _signature(check: SignatureCheck | None, console: Console) -> None:
    if check is None:
        console.print("[bold]3. Signature[/]  not looked at")
        return
    over = f"md5({' + '.join(check.over)})" if len(check.over) > 1 else check.over[0]
    console.print(f"[bold]3. Signature[/]  {escape(over)}")
    if check.matches:
        console.print(f"   [green]matches[/] {escape(check.matches)}")
        return
    console.print(f"   [red]does not match[/] {escape(check.given)}")
    for mistake in check.mistakes:
        console.print(
            f"   [yellow]It would match if: {escape(mistake)}[/]"
            if "no account" not in mistake
            else f"   [red]{mistake}[/]"
        )
    if not check.mistakes:
        console.print("   None of the usual mistakes explains it: most likely the secret is another one.")


def _items(told: Explanation, console: Console) -> None:
    if not told.items:
        console.print("[bold]4. To SMSBAT[/]  nothing")
        return
    console.print(f"[bold]4. To SMSBAT[/]  {len(told.items)} message(s), account {escape(str(told.account))}")
    _messages(told.items, told.item_fields, console)
    if told.follow_ups:
        console.print(f"   [bold]Later[/], instead of those that are not delivered within {told.follow_ups[0].after} s")
        _messages([each.item for each in told.follow_ups], [each.item_fields for each in told.follow_ups], console)


def _messages(items: Sequence[dict[str, Any]], item_fields: Sequence[Sequence[ItemField]], console: Console) -> None:
    for fields in item_fields[:SHOWN_MESSAGES]:
        rows = ((each.path, json.dumps(each.value, ensure_ascii=False), each.origin) for each in fields)
        console.print(_table(("key", "value", "made by"), rows))
    shown = {"messages": items[:SHOWN_MESSAGES]}
    console.print_json(json.dumps(shown, ensure_ascii=False), ensure_ascii=False)
    if len(items) > SHOWN_MESSAGES:
        console.print(f"   … and {len(items) - SHOWN_MESSAGES} more")


def _answer(told: Explanation, console: Console) -> None:
    colour = "red" if told.refusal else "green"
    why = escape(told.refusal) if told.refusal else "when SMSBAT takes it"
    console.print(f"[bold]5. Answer[/]   [{colour}]HTTP {told.status}[/]  ({why})")
    console.print(told.answer, markup=False, highlight=False)


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 3), header_style="dim")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
