"""A transaction whose end is known, also when the answer to its commit is lost.

A connection can break after PostgreSQL was told to commit and before it says that it did. Taken for a failure, what is
stored would be refused, and sent again by the client. So PostgreSQL is asked what became of it. A file has no such gap.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

#: Seconds in which it is asked, and between two times.
_PATIENCE, _PAUSE = 5.0, 0.1
#: None for a transaction that has changed nothing.
_NAME = text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)")
_STATUS = text("SELECT pg_xact_status(CAST(:name AS xid8))")


class Transactions:
    """One after the other, from one thread. On a file they have the same connection until one fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_postgresql = engine.dialect.name == "postgresql"
        self._connection: Connection | None = None

    def commit(self, work: Callable[[Connection], None]) -> None:
        """Do what ``work`` does with its connection in a transaction, and commit that.

        Raises what ``work`` does; ``SQLAlchemyError`` when it is not committed, and when that can't be found out,
        because the database stays away.
        """
        connection = self._connection = self._connection or self._engine.connect()
        try:
            connection.begin()
            work(connection)
            self._end(connection)
        except BaseException:
            self.rest()
            raise
        if self._is_postgresql:
            # It may be gone by the next time. The pool looks at it whenever it gives it out; a file stays.
            self.rest()

    def rest(self) -> None:
        """Give the connection back, with nothing left of what was not committed."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _end(self, connection: Connection) -> None:
        name = connection.scalar(_NAME) if self._is_postgresql else None
        try:
            connection.commit()
        except DBAPIError as error:
            if name is None or not error.connection_invalidated or not _is_committed(self._engine, name):
                raise


def _is_committed(engine: Engine, name: str) -> bool:
    """Whether a transaction was committed whose connection broke; while PostgreSQL does not know it, it is asked on."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(SQLAlchemyError), engine.connect() as connection:
            status = connection.scalar(_STATUS, {"name": name})
            if status != "in progress":
                return bool(status == "committed")
        time.sleep(_PAUSE)
    return False
