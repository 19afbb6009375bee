"""The ``callbacks`` and ``replies`` commands: what partners are owed, and what nobody asked for."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.clock import now_ms
from gateway.store.callbacks import Callback, CallbackState, CallbackStore
from gateway.store.database import Database, as_it_is
from gateway.store.engine import open_engine, require_database
from gateway.store.migrations import has_present_shape
from gateway.store.reports import ReportStore

Result = TypeVar("Result")
#: Columns when the output is no terminal.
_WIDTH = 160
#: Numbers that a row can have; a database would not even look for others.
_IDS = range(1, 2**63)
#: All control characters but the line break.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_OTHER_SHAPE = "the database does not have the shape of this version: `smsbat-gateway migrate` brings it there"


def list_callbacks(database: str, states: Collection[CallbackState], account: str | None, limit: int) -> None:
    """Print callbacks in these states, newest first."""
    found = _with(database, lambda opened: CallbackStore(opened).listed(states, account, limit))
    heads = ("id", "account", "dialect", "message", "what", "state", "tries", "last answer", "since")
    _print(_table(heads, map(_cells, found)) if found else "No such callbacks.")


def retry_callbacks(database: str, ids: Collection[int] | None, account: str | None) -> None:
    """Owe ended callbacks again; a running gateway sends them within seconds."""
    now = now_ms()
    possible = None if ids is None else [each for each in ids if each in _IDS]
    count = _with(database, lambda opened: CallbackStore(opened).retry(possible, account, now))
    _print(f"{count} callback(s) will be sent again.")
    if ids and count < len(set(ids)):
        _print("The others are still pending, were taken, or are not known.")


def list_replies(database: str, unmatched: bool, limit: int) -> None:
    """Print replies, newest first; their words and numbers are shown in full, since that is what is asked for."""
    found = _with(database, lambda opened: ReportStore(opened, {}).replies(unmatched, limit))
    heads = ("when", "account", "to", "from", "text", "answers message")
    rows = [
        (_moment(row.at), row.account, row.sender, row.digits, _said(row.text, row.media), row.message or "none known")
        for row in found
    ]
    _print(_table(heads, rows) if rows else "No such replies.")


def _with(address: str, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Do it on a database as it is: a gateway of another version may be running on it."""
    require_database(address)
    engine = open_engine(address)
    if not has_present_shape(engine):
        engine.dispose()
        sys.exit(_OTHER_SHAPE)

    async def whole() -> Result:
        async with as_it_is(engine) as database:
            return await work(database)

    return asyncio.run(whole())


def _cells(callback: Callback) -> tuple[str, ...]:
    facts = callback.facts
    what = facts.status if facts.event == "delivery" and facts.status else facts.event
    state = callback.state.value
    return (
        str(callback.id),
        callback.account,
        callback.dialect,
        callback.message,
        what,
        state,
        str(callback.tries),
        callback.outcome or "",
        _moment(callback.event_at),
    )


def _said(text: str | None, media: str | None) -> str:
    return text if text is not None else media or ""


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    """Where a column is too narrow for what stands in it, that goes on below: nothing is cut off."""
    table = Table(box=None)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_harmless(cell)) for cell in row))
    return table


def _harmless(text: str) -> str:
    """Whoever wrote it must not command the terminal that it is shown on."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _print(what: Table | str) -> None:
    console = Console(highlight=False, emoji=False)
    (console if console.is_terminal else Console(width=_WIDTH, highlight=False, emoji=False)).print(what)
