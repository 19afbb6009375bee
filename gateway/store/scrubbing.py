"""What was struck out or removed leaves SQLite's files too, not only its tables.

The database file is overwritten in place (``secure_delete``). Its write-ahead log is not: there a row stays as it was
written until the log happens to be written over, which in a quiet night is never. So it is started anew now and then:
5 ms for 4 MB. PostgreSQL keeps such rows until its vacuum, and its own log as long as it is set up to.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from sqlalchemy import Engine

from gateway.errors import StoreUnavailable
from gateway.store.database import Database

log = structlog.get_logger("gateway.scrubbing")

#: Seconds between two beginnings of the log.
PAUSE = 60.0
#: Milliseconds in which readers must end, since nobody writes meanwhile; else it is tried again after the pause.
_PATIENCE = 50


async def keep_clean(database: Database) -> None:
    """For as long as the gateway serves; at the start too, since a killed process leaves its log behind."""
    while database.engine.dialect.name == "sqlite":
        try:
            await database.read(begin_log_anew, database.engine)
        except StoreUnavailable as error:
            log.error("the write-ahead log can't be begun anew yet", error=str(error))
        except Exception:
            log.exception("the write-ahead log can't be begun anew yet")
        await asyncio.sleep(PAUSE)


def begin_log_anew(engine: Engine) -> bool:
    """Write what is in the log into the database file, and cut the log off; false when somebody was in the way."""
    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    try:
        before = connection.execute("PRAGMA busy_timeout").fetchone()[0]
        connection.execute(f"PRAGMA busy_timeout={_PATIENCE}")
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            connection.execute(f"PRAGMA busy_timeout={before}")
    finally:
        pooled.close()
    return not busy
