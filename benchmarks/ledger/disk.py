"""What the disk says of messages, whoever wrote it: read from outside of the gateway, between its lives too."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from sqlalchemy import Engine, NullPool, create_engine, make_url, select

from gateway.core.messages import State
from gateway.store.chunks import chunks
from gateway.store.engine import open_engine
from gateway.store.tables import messages

#: States of messages that may still be submitted, or again after all.
_OPEN = [State.PLANNED.value, State.ACCEPTED.value, State.WITHDRAWN.value]


class Disk:
    """The database of one arrangement. ``close`` it."""

    def __init__(self, database: str) -> None:
        url = make_url(database)
        self._engine = _only_read(url.database or "") if url.get_backend_name() == "sqlite" else open_engine(database)

    def settled(self, ids: Collection[str]) -> set[str]:
        """Those of these messages that are never to be submitted any more."""
        ended = messages.c.state.not_in(_OPEN)
        with self._engine.connect() as connection:
            found = (
                connection.scalars(select(messages.c.id).where(messages.c.id.in_(some), ended)) for some in chunks(ids)
            )
            return {each for some in found for each in some}

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def _only_read(path: str) -> Engine:
    """Who could write would put the log's pages into the file when it closes: what a killed process left is for the
    next one to find as it was."""
    address = f"file:{path}?mode=ro"
    return create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool)
