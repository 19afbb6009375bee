"""A transaction whose end is known, also when the answer to its commit is lost.

A connection can break after PostgreSQL was told to commit and before it says that it did. Taken for a failure, what is
stored would be refused, and sent again by the client. So PostgreSQL is asked what became of it. A file has no such gap.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

#: Seconds in which it is asked, and between two times.
_PATIENCE, _PAUSE = 5.0, 0.1
#: None for a transaction that has changed nothing.
_NAME = text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)")
_STATUS = text("SELECT pg_xact_status(CAST(:name AS xid8))")


@contextlib.contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction, which is committed at the block's end.

    Raises ``SQLAlchemyError`` when it is not; and when that can't be found out, because the database stays away.
    """
    with engine.connect() as connection:
        connection.begin()
        yield connection
        name = connection.scalar(_NAME) if engine.dialect.name == "postgresql" else None
        try:
            connection.commit()
        except DBAPIError as error:
            if name is None or not error.connection_invalidated or not _is_committed(engine, name):
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
