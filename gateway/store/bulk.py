"""Statements for many rows, handed to the driver as it takes them.

SQLAlchemy compiles them, once. Through its own execution each row would be looked at value by value every time, which
takes longer than what the database does with the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Update
from sqlalchemy.sql.compiler import SQLCompiler

Rows = Sequence[Mapping[str, Any]]
#: One that writes a row each time, with every value that differs bound by name. A constant: it is compiled for good.
Statement = Insert | Update


#: By statement and kind of database: what the driver is given.
_compiled: dict[tuple[Statement, str], tuple[str, Callable[[Rows], list[Any]]]] = {}


def write_rows(connection: Connection, statement: Statement, rows: Rows) -> None:
    """Execute a constant statement for all rows, which have the same names each time."""
    key = (statement, connection.dialect.name)
    if key not in _compiled:
        compiled = statement.compile(dialect=connection.dialect, column_keys=[*rows[0]])
        assert isinstance(compiled, SQLCompiler)
        _compiled[key] = (str(compiled), _parameters(compiled, frozenset(rows[0])))
    sql, parameters = _compiled[key]
    connection.exec_driver_sql(sql, parameters(rows))


def _parameters(compiled: SQLCompiler, own: frozenset[str]) -> Callable[[Rows], list[Any]]:
    """How rows become what the driver takes: tuples for SQLite, mappings for PostgreSQL; both with the constants."""
    assert not compiled.literal_execute_params
    assert not compiled.post_compile_params
    constants = {name: value for name, value in compiled.params.items() if name not in own}
    if compiled.positiontup is None:
        return lambda rows: [{**row, **constants} for row in rows]
    values = itemgetter(*compiled.positiontup)
    return lambda rows: [values({**row, **constants} if constants else row) for row in rows]
