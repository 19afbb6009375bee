"""Database connections, set up for durability."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.errors import ConfigurationError

#: Another process (a backup, a shell) may hold the file this long, in seconds, before a write fails.
BUSY_TIMEOUT = 5.0


def open_engine(database: str) -> Engine:
    """An engine for a database URL; so far ``sqlite:///path``. Raises ``ConfigurationError``."""
    try:
        url = make_url(database)
    except ArgumentError as error:
        raise ConfigurationError("GATEWAY_DATABASE is no database URL, such as sqlite:///gateway.db") from error
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise ConfigurationError("the database must be an SQLite file: sqlite:///path")
    _create_private(Path(url.database))
    return _sqlite(url)


def _create_private(path: Path) -> None:
    """The file holds personal data: only its owner may read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigurationError(f"the database file {path} can't be opened: {error.strerror}") from error


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # The driver's own way of beginning only before writes would leave reads outside of transactions. Who writes
        # says so at once: a transaction that reads first is refused when another process writes in between.
        writing = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine
