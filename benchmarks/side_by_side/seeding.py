"""Databases as they are after a while: messages that were sent and delivered long ago, callbacks that are owed."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.side_by_side import gateways
from benchmarks.side_by_side.requests import messages as texts
from gateway.clock import now_ms
from gateway.core.ids import MessageIds
from gateway.core.lifecycle import Status
from gateway.core.messages import Content, Message, State
from gateway.mapping.telling import of_status
from gateway.store.callbacks import callback_row
from gateway.store.engine import open_engine
from gateway.store.messages import message_row
from gateway.store.migrations import migrate

_DAY = 86_400_000
#: The oldest is so many days old: retention leaves them all.
_DAYS = 90
_AT_ONCE = 20_000
_ACCOUNT, _DIALECT, _SMSBAT = "demo", "messagio", "main"
_FIRST_UPSTREAM_ID = 1_000

Row = Mapping[str, Any]


def seed(folder: Path, count: int, owed: bool = False) -> Path:
    """A gateway's database in a folder, with so many delivered messages; ``owed``: and a callback owed for each."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_engine(gateways.sqlite(folder))
    migrate(engine)
    engine.dispose()
    connection = sqlite3.connect(folder / "gateway.db", isolation_level=None)
    # Only while it is filled: what is measured opens it anew.
    connection.execute("PRAGMA synchronous=OFF")
    rows = _messages(count)
    while some := list(islice(rows, _AT_ONCE)):
        connection.execute("BEGIN")
        _insert(connection, "messages", some)
        if owed:
            _insert(connection, "callbacks", [_callback(row) for row in some])
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with (folder / "gateway.db").open("rb") as file:
        os.fsync(file.fileno())
    return folder


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    names = list(rows[0])
    places = ", ".join(f":{name}" for name in names)
    connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", rows)


def _messages(count: int) -> Iterator[Row]:
    """Delivered messages, the oldest first, evenly over the days."""
    now, ids, bodies = now_ms(), MessageIds(os.urandom), list(texts())
    for number in range(count):
        at = now - _DAYS * _DAY + number * (_DAYS - 1) * _DAY // count
        text = bodies[number % len(bodies)][1]
        yield _row(_message(ids.new(at), f"3806{number:08d}", text, at), _FIRST_UPSTREAM_ID + number)


def _message(message_id: str, phone: str, text: str, at: int) -> Message:
    return Message(
        id=message_id,
        submission=str(uuid.UUID(message_id)),
        position=0,
        account=_ACCOUNT,
        dialect=_DIALECT,
        channel="viber",
        sender="Sender",
        recipient=phone,
        digits=phone,
        content=Content(text),
        ttl=86_400,
        reference=None,
        report=True,
        accepted_at=at,
        due_at=at,
    )


def _row(message: Message, upstream_id: int) -> Row:
    """As it is when SMSBAT has told its end."""
    at = message.accepted_at
    settled = {"outcome": "accepted", "upstream_id": str(upstream_id), "parts": 1, "settled_at": at + 40}
    ended = {"status": Status.DELIVERED.value, "status_at": at + 5_000, "leg": "viber", "final_at": at + 5_000}
    return {**message_row(message, _SMSBAT, State.SUBMITTED), **settled, **ended}


def _callback(row: Row) -> Row:
    facts = of_status(row["id"], None, Status.DELIVERED, None, ("viber", "viber"))
    return callback_row(facts, _ACCOUNT, _DIALECT, now_ms())
