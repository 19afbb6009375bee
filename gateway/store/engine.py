"""Database connections, set up for durability."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.errors import ConfigurationError

# The driver first asks how to adapt what is no plain text or number, and makes an error of each answer that it does not
# get: that takes longer than to store it. So it is told.
sqlite3.register_adapter(type(None), lambda nothing: nothing)
sqlite3.register_adapter(bool, int)

#: Another process (a backup, a shell, another worker) may hold the file this long, in seconds, before a write fails.
BUSY_TIMEOUT = 5.0
#: Statements that a connection keeps prepared: those that insert have one for each number of rows.
_PREPARED = 512
#: Seconds between two tries to write.
_BUSY_PAUSE = 0.0005
#: Under which a connection notes how long it waits.
_PATIENCE = "patience"
#: Seconds to get a connection to PostgreSQL, and to notice that one is dead.
_CONNECT_TIMEOUT, _DEAD_AFTER = 5, 10
#: A node that hangs in a transaction must not keep the others waiting: PostgreSQL ends it, and gives up locks of a
#: machine that is gone.
_SERVER = {
    "idle_in_transaction_session_timeout": "4s",
    "lock_timeout": "6s",
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
}
#: Connections to PostgreSQL: the writer's, and those that read beside it.
_CONNECTIONS = 6
_WRONG = (
    "GATEWAY_DATABASE is sqlite:///path of a file, or postgresql://user:password@host/database with the password"
    " escaped as in any URL"
)


def open_engine(database: str) -> Engine:
    """An engine for a database URL, of SQLite or PostgreSQL. Raises ``ConfigurationError``."""
    url = database_url(database)
    if url.get_backend_name() == "postgresql":
        return _postgresql(url)
    _create_private(Path(str(url.database)))
    return _sqlite(url)


def database_url(database: str) -> URL:
    """The parts of a database URL, of SQLite or PostgreSQL. Raises ``ConfigurationError``."""
    try:
        url = make_url(database)
    except (ArgumentError, ValueError):
        # A password that is not escaped may count as the port, and be quoted as such.
        raise ConfigurationError(_WRONG) from None
    if url.get_backend_name() not in ("sqlite", "postgresql") or url.database in (None, "", ":memory:"):
        raise ConfigurationError(_WRONG)
    return url


def shown(database: str) -> str:
    """A database URL without its password, which may stand among its options too."""
    return database_url(database).set(query={}).render_as_string(hide_password=True)


def require_database(database: str) -> None:
    """Raises ``ConfigurationError`` when a database URL names a file that is not there: who only reads makes none."""
    url = database_url(database)
    path = Path(str(url.database))
    if url.get_backend_name() == "sqlite" and not path.exists():
        raise ConfigurationError(f"there is no database {path.resolve()}: name it with --database")


def _create_private(path: Path) -> None:
    """The file holds personal data: only its owner may read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigurationError(f"the database file {path} can't be opened: {error.strerror}") from error


def _postgresql(url: URL) -> Engine:
    """Every connection prepares the statements that it repeats; one that broke is replaced unseen."""
    alive = {"keepalives_idle": _DEAD_AFTER, "keepalives_interval": 2, "tcp_user_timeout": _DEAD_AFTER * 1000}
    options = " ".join(f"-c {name}={value}" for name, value in _SERVER.items())
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        # Its errors may be logged, and values are personal data.
        hide_parameters=True,
        pool_size=_CONNECTIONS,
        pool_pre_ping=True,
        pool_use_lifo=True,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT,
            "application_name": "smsbat-gateway",
            "options": options,
            **alive,
        },
    )


def _sqlite(url: URL) -> Engine:
    arguments = {"timeout": BUSY_TIMEOUT, "check_same_thread": False, "cached_statements": _PREPARED}
    engine = create_engine(url, connect_args=arguments, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        # Some builds of SQLite leave deleted bytes where they were. To overwrite them costs nothing measurable.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # The driver's own way of beginning only before writes would leave reads outside of transactions. Who writes
        # says so at once: a transaction that reads first is refused when another process writes in between.
        writing: bool = connection.get_execution_options().get("writing", False)
        _set_patience(connection, 0.0 if writing else BUSY_TIMEOUT)
        if writing:
            _begin_writing(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _set_patience(connection: Connection, seconds: float) -> None:
    """How long SQLite itself waits for others. Set when it changes: a writer's connection stays a writer's."""
    if connection.info.get(_PATIENCE) != seconds:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={round(seconds * 1000)}")
        connection.info[_PATIENCE] = seconds


def _begin_writing(connection: Connection) -> None:
    """Begin when no other process writes, within ``BUSY_TIMEOUT``. Raises ``SQLAlchemyError``.

    SQLite's own waiting sleeps longer each time, up to 100 ms, while others that write again and again take turns.
    """
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + BUSY_TIMEOUT
    while (begun := _begun(driver)) is None and time.monotonic() < until:
        time.sleep(_BUSY_PAUSE)
    if not begun:
        # What is wrong, in SQLAlchemy's words.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begun(driver: sqlite3.Connection) -> bool | None:
    """Whether a transaction that writes could be begun; ``None`` while another process writes."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return None if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY else False
    return True
