"""Group commit: everything that waits to be written goes into one transaction, and resumes when that is on disk.

One thread per process writes. A thread and not an async driver, because a whole group then costs one hop between
threads instead of one for each statement.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from gateway.errors import RowRefused, StoreUnavailable

Rows = Sequence[Mapping[str, Any]]
#: Errors that speak of one row, not of the database: the rest of the group is written without it.
_ROW_ERRORS = (IntegrityError, DataError)


@dataclass(slots=True)
class _Write:
    statement: Executable
    rows: Rows
    done: asyncio.Future[None]


class GroupCommitWriter:
    """Writes rows durably. Use from one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, statement: Executable, rows: Rows) -> None:
        """Execute a statement for all rows; returns when they are on disk. Raises ``StoreUnavailable``."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_Write(statement, rows, done))
        await done

    async def close(self) -> None:
        """Finish what waits, then end the thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (group := self._take()) is not None:
            self._commit(group)

    def _take(self) -> list[_Write] | None:
        """All writes that wait, at least one; ``None`` at the end. An end mark behind others is put back."""
        first = self._queue.get()
        if first is None:
            return None
        group = [first]
        while not self._queue.empty():
            write = self._queue.get()
            if write is None:
                self._queue.put(None)
                break
            group.append(write)
        return group

    def _commit(self, group: list[_Write]) -> None:
        try:
            with self._engine.begin() as connection:
                _execute(connection, group)
        except _ROW_ERRORS as error:
            self._commit_apart(group, error)
        except (SQLAlchemyError, OSError) as error:
            self._resolve(group, error)
        except Exception as error:  # noqa: BLE001 a driver may refuse a value in its own way; the thread must live on
            self._commit_apart(group, error)
        else:
            self._resolve(group, None)

    def _commit_apart(self, group: list[_Write], error: Exception) -> None:
        if len(group) == 1:
            self._resolve(group, error)
            return
        for write in group:
            self._commit([write])

    def _resolve(self, group: list[_Write], error: Exception | None) -> None:
        self._loop.call_soon_threadsafe(_wake, group, error)


def _execute(connection: Connection, group: Iterable[_Write]) -> None:
    """Rows of the same statement in one go: fewer, larger statements hold the interpreter lock for less."""
    together: dict[int, tuple[Executable, list[Mapping[str, Any]]]] = {}
    for write in group:
        together.setdefault(id(write.statement), (write.statement, []))[1].extend(write.rows)
    for statement, rows in together.values():
        connection.execute(statement, rows)


def _of_the_database(error: Exception) -> bool:
    return isinstance(error, SQLAlchemyError | OSError) and not isinstance(error, _ROW_ERRORS)


def _wake(group: list[_Write], error: Exception | None) -> None:
    for write in group:
        if write.done.done():
            continue
        if error is None:
            write.done.set_result(None)
        else:
            # The driver's own words quote the rows, which are personal data.
            kind = StoreUnavailable if _of_the_database(error) else RowRefused
            failure = kind(f"not stored: {type(error).__name__}")
            write.done.set_exception(failure)
