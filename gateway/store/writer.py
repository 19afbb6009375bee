"""Group commit: everything that waits to be written goes into one transaction, and resumes when that is on disk.

One thread per process writes. A thread and not an async driver, because a whole group then costs one hop between
threads instead of one for each statement.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from gateway.errors import RowRefused, StoreUnavailable
from gateway.metrics import COMMIT_WRITES, COMMITS
from gateway.points import Point, reach
from gateway.store.bulk import Rows, Statement, write_rows
from gateway.store.commit import transaction

Result = TypeVar("Result")
#: Errors that speak of one row, not of the database: the rest of the group is written without it.
_ROW_ERRORS = (IntegrityError, DataError)
_TRIES = 3
#: Writes in a group after which the next one is given so many seconds to gather: while many come, a commit costs more
#: than dozens of rows add to it, and whoever waits for it waits for the event loop anyway.
_MANY, _GATHER = 8, 0.004


@dataclass(slots=True)
class _Write:
    statement: Statement
    rows: Rows
    done: asyncio.Future[Any]


@dataclass(slots=True)
class _Work:
    """Several statements that depend on each other; ``result`` is what they found."""

    work: Callable[[Connection], Any]
    done: asyncio.Future[Any]
    result: Any = None


_Group = list[_Write | _Work]


class GroupCommitWriter:
    """Writes rows durably. Use from one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(writing=True)
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Write | _Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, statement: Statement, rows: Rows) -> None:
        """Execute a constant statement for all rows; returns when they are on disk. Raises ``StoreUnavailable``."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_Write(statement, rows, done))
        await done

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Do what takes several statements in one transaction; returns its result when that is on disk.

        ``work`` runs in the writer's thread, alone: nobody else writes meanwhile. It may be run again when another
        member of its group fails. Raises ``StoreUnavailable``.
        """
        done: asyncio.Future[Result] = self._loop.create_future()
        self._queue.put(_Work(work, done))
        return await done

    async def close(self) -> None:
        """Finish what waits, then end the thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (group := self._take()) is not None:
            COMMIT_WRITES.observe(len(group))
            self._commit(group)
            if len(group) >= _MANY:
                time.sleep(_GATHER)

    def _take(self) -> _Group | None:
        """All writes that wait, at least one; ``None`` at the end. An end mark behind others is put back."""
        first = self._queue.get()
        if first is None:
            return None
        group: _Group = [first]
        while not self._queue.empty():
            write = self._queue.get()
            if write is None:
                self._queue.put(None)
                break
            group.append(write)
        return group

    def _commit(self, group: _Group, tries: int = 1) -> None:
        reach(Point.WRITES_TAKEN)
        try:
            with COMMITS.time(), transaction(self._engine) as connection:
                _execute(connection, group)
                reach(Point.IN_TRANSACTION)
        except _ROW_ERRORS as error:
            self._commit_apart(group, error, tries)
        except (SQLAlchemyError, OSError) as error:
            if _is_conflict(error):
                self._commit_apart(group, error, tries)
            else:
                self._resolve(group, error)
        except Exception as error:  # noqa: BLE001 a driver may refuse a value in its own way; the thread must live on
            self._commit_apart(group, error, tries)
        else:
            reach(Point.COMMITTED)
            self._resolve(group, None)

    def _commit_apart(self, group: _Group, error: Exception, tries: int) -> None:
        """Each by itself. One that another node came between is tried again: by then it sees what that did."""
        if len(group) > 1:
            for write in group:
                self._commit([write])
        elif tries < _TRIES and (isinstance(group[0], _Work) or _is_conflict(error)):
            self._commit(group, tries + 1)
        else:
            self._resolve(group, error)

    def _resolve(self, group: _Group, error: Exception | None) -> None:
        self._loop.call_soon_threadsafe(_wake, group, error)


def _execute(connection: Connection, group: Iterable[_Write | _Work]) -> None:
    """Rows of the same statement in one go: fewer, larger statements hold the interpreter lock for less."""
    together: dict[Statement, list[Mapping[str, Any]]] = {}
    for write in group:
        if isinstance(write, _Write):
            together.setdefault(write.statement, []).extend(write.rows)
    for statement, rows in together.items():
        write_rows(connection, statement, rows)
    for work in group:
        if isinstance(work, _Work):
            work.result = work.work(connection)


def _is_conflict(error: Exception) -> bool:
    """Whether PostgreSQL let another transaction go first: deadlock, serialization failure, lock not available."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in ("40P01", "40001", "55P03")


def _of_the_database(error: Exception) -> bool:
    return isinstance(error, SQLAlchemyError | OSError) and not isinstance(error, _ROW_ERRORS)


def _wake(group: _Group, error: Exception | None) -> None:
    for write in group:
        if write.done.done():
            continue
        if error is None:
            write.done.set_result(write.result if isinstance(write, _Work) else None)
        else:
            # The driver's own words quote the rows, which are personal data.
            kind = StoreUnavailable if _of_the_database(error) else RowRefused
            failure = kind(f"not stored: {type(error).__name__}")
            write.done.set_exception(failure)
