"""Statements for many rows, handed to the driver as it takes them.

SQLAlchemy compiles them, once. Through its own execution each row would be looked at value by value every time, which
takes longer than what the database does with the row.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from gateway.store.chunks import chunks

Rows = Sequence[Mapping[str, Any]]
#: One that writes a row each time, with every value that differs bound by name. A constant: it is compiled for good.
Statement = Insert | Update
#: An option of an update: whichever of several rows that speak of the same message is taken, it comes to the same.
TOGETHER = "together"

#: Values in one statement, with which every SQLite gets along.
_MOST_VALUES = 999
#: The end of an insertion of one row, all of whose values are bound.
_VALUES = re.compile(r"( VALUES )(\([?, ]+\))$")
#: By statement and kind of database.
_compiled: dict[tuple[Statement, str], Callable[[Connection, Rows], None]] = {}


def write_rows(connection: Connection, statement: Statement, rows: Rows) -> None:
    """Execute a constant statement for all rows, which have the same names each time."""
    key = (statement, connection.dialect.name)
    if key not in _compiled:
        compiled = statement.compile(dialect=connection.dialect, column_keys=[*rows[0]])
        assert isinstance(compiled, SQLCompiler)
        _compiled[key] = _writer(compiled, frozenset(rows[0]), statement.get_execution_options().get(TOGETHER, False))
    _compiled[key](connection, rows)


def _writer(compiled: SQLCompiler, own: frozenset[str], together: bool) -> Callable[[Connection, Rows], None]:
    """Executes a compiled statement whose rows have names of their ``own``; the others are constants."""
    assert not compiled.literal_execute_params
    assert not compiled.post_compile_params
    sql, constants = str(compiled), {name: value for name, value in compiled.params.items() if name not in own}
    if compiled.positiontup is None:
        return partial(_to_server, sql, constants)
    values = itemgetter(*compiled.positiontup)
    if not constants and (together or (compiled.isinsert and _VALUES.search(sql))):
        of_many = partial(_update_of if together else _insertion_of, sql)
        return partial(_in_one, of_many, values, _MOST_VALUES // len(compiled.positiontup))
    whole = (lambda row: values({**row, **constants})) if constants else values
    return lambda connection, rows: _on_file(connection, sql, [*map(whole, rows)])


def _to_server(sql: str, constants: Mapping[str, Any], connection: Connection, rows: Rows) -> None:
    connection.exec_driver_sql(sql, [{**row, **constants} for row in rows])


def _in_one(
    of_many: Callable[[int], str],
    values: Callable[[Mapping[str, Any]], Any],
    most: int,
    connection: Connection,
    rows: Rows,
) -> None:
    """On SQLite, several rows by a statement: each statement opens the table and its indexes anew."""
    for some in chunks(rows, most):
        _on_file(connection, of_many(len(some)), [(*chain.from_iterable(map(values, some)),)])


def _on_file(connection: Connection, sql: str, rows: list[Any]) -> None:
    """Past SQLAlchemy, which takes as long about a statement as SQLite about two rows. Raises its errors."""
    driver: Any = connection.connection.driver_connection
    try:
        driver.executemany(sql, rows)
    except sqlite3.Error as error:
        dialect = connection.dialect
        raise DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True, dialect=dialect) from error


@lru_cache(1000)
def _insertion_of(sql: str, rows: int) -> str:
    """An insertion of so many rows, made of that of one."""
    return _VALUES.sub(lambda one: one[1] + ", ".join([one[2]] * rows), sql)


@lru_cache(1000)
def _update_of(sql: str, rows: int) -> str:
    """An update of so many rows, made of that of one: what was bound stands in a table of values."""
    names = [f"value{number}" for number in range(sql.count("?"))]
    change, condition = sql.replace("?", "given.{}").format(*names).split(" WHERE ", 1)
    values = ", ".join([f"({', '.join('?' * len(names))})"] * rows)
    return f"WITH given({', '.join(names)}) AS (VALUES {values}) {change} FROM given WHERE {condition}"
