"""The ``callbacks`` and ``replies`` commands: what partners are owed, and what nobody asked for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection
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
_OTHER_SHAPE = "the database does not have the shape of this version: `smsbat-gateway migrate` brings it there"


def list_callbacks(database: str, states: Collection[CallbackState], account: str | None, limit: int) -> None:
    """Print callbacks in these states, newest first."""
    found = _with(database, lambda opened: CallbackStore(opened).listed(states, account, limit))
    table = Table("id", "account", "dialect", "message", "what", "state", "tries", "last answer", "since", box=None)
    for each in found:
        table.add_row(*map(escape, _cells(each)))
    _print(table if found else "No such callbacks.")


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
    table = Table("when", "account", "to", "from", "text", "answers message", box=None)
    for row in found:
        words = row.text if row.text is not None else row.media or ""
        cells = (_moment(row.at), row.account, row.sender, row.digits, words, row.message or "none known")
        table.add_row(*map(escape, cells))
    _print(table if found else "No such replies.")


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


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _print(what: Table | str) -> None:
    console = Console(highlight=False, emoji=False)
    (console if console.is_terminal else Console(width=_WIDTH, highlight=False, emoji=False)).print(what)
