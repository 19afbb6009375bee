"""What the disk says of messages, whoever wrote it: read from outside of the gateway, between its lives too."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import Engine, NullPool, create_engine, make_url, select

from gateway.store.chunks import chunks
from gateway.store.engine import open_engine
from gateway.store.settled import WENT_OUT
from gateway.store.tables import messages

_TAKEN = messages.c.state.in_([state.value for state in WENT_OUT])


class Disk:
    """The database of one arrangement. ``close`` it."""

    def __init__(self, database: str) -> None:
        url = make_url(database)
        self._engine = _only_read(url.database or "") if url.get_backend_name() == "sqlite" else open_engine(database)

    def taken(self, ids: Collection[str]) -> set[str]:
        """Those of these messages that SMSBAT has, or may have: none of them is to be submitted any more.

        Without any there need not be a database yet.
        """
        if not ids:
            return set()
        with self._engine.connect() as connection:
            found = (
                connection.scalars(select(messages.c.id).where(messages.c.id.in_(some), _TAKEN)) for some in chunks(ids)
            )
            return {each for some in found for each in some}

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def _only_read(path: str) -> Engine:
    """Who could write would put the log's pages into the file when it closes: what a killed process left is for the
    next one to find as it was."""
    address = f"{Path(path).absolute().as_uri()}?mode=ro"
    return create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool)
