"""Group commit: everything that waits to be written goes into one transaction, and is told when that is on disk.

One thread per process writes. A thread and not an async driver, because a whole group then costs one hop between
threads instead of one for each statement.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from gateway.errors import RowRefused, StoreUnavailable
from gateway.metrics import count_commit
from gateway.points import Point, reach
from gateway.store.bulk import Rows, Statement, write_rows
from gateway.store.commit import Transactions
from gateway.store.trouble import named

log = structlog.get_logger("gateway.store")

Result = TypeVar("Result")
#: Errors that speak of one row, not of the database: the rest of the group is written without it.
_ROW_ERRORS = (IntegrityError, DataError)
_TRIES = 3
#: Seconds for which a group gathers at most while others come in every turn of the event loop: a commit costs more than
#: dozens of rows add to it, and whoever waits for it waits for the event loop anyway.
_GATHER = 0.004
#: Turns without anybody new, behind which it is handed over: what is read in one turn is understood in the next.
_QUIET = 2
#: Told in the event loop that a write is on disk, or why it is not.
Told = Callable[[StoreUnavailable | RowRefused | None], None]


@dataclass(slots=True)
class _Write:
    statement: Statement
    rows: Rows
    told: Told


@dataclass(slots=True)
class _Work:
    """Several statements that depend on each other; ``result`` is what they found."""

    work: Callable[[Connection], Any]
    done: asyncio.Future[Any]
    result: Any = None

    def told(self, failure: StoreUnavailable | RowRefused | None) -> None:
        _end(self.done, failure, self.result)


_Group = list[_Write | _Work]


class GroupCommitWriter:
    """Writes rows durably. Use from one event loop.

    While a group is written the next one gathers. It is handed over when nothing has joined it for a few turns of the
    loop, or when it has gathered for ``_GATHER``.
    """

    def __init__(self, engine: Engine) -> None:
        self._transactions = Transactions(engine.execution_options(writing=True))
        self._loop = asyncio.get_running_loop()
        self._gathered: _Group = []
        #: Whether something gathered is to be written now; and whether a group is about to be, or is being written.
        self._is_urgent = self._is_busy = False
        self._gathers_until = 0.0
        self._groups: queue.SimpleQueue[_Group | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def put(self, statement: Statement, rows: Rows, told: Told, patience: float = 0.0) -> None:
        """Execute a constant statement for all rows, and tell when they are on disk.

        With ``patience`` it may wait for others to be written with, for so many seconds.
        """
        self._gathered.append(_Write(statement, rows, told))
        if patience:
            self._loop.call_later(patience, self._urge)
        elif not self._is_urgent:
            self._urge()

    def write(self, statement: Statement, rows: Rows, patience: float = 0.0) -> asyncio.Future[None]:
        """The same; done when they are on disk. It raises ``StoreUnavailable`` and ``RowRefused``."""
        done: asyncio.Future[None] = self._loop.create_future()
        self.put(statement, rows, partial(_end, done), patience)
        return done

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Do what takes several statements in one transaction; returns its result when that is on disk.

        ``work`` runs in the writer's thread, alone: nothing else of this process writes meanwhile. It may be run again
        when another member of its group fails. Raises ``StoreUnavailable`` and ``RowRefused``.
        """
        done: asyncio.Future[Result] = self._loop.create_future()
        self._gathered.append(_Work(work, done))
        self._urge()
        return await done

    async def close(self) -> None:
        """Finish what waits, then end the thread."""
        if self._gathered:
            self._hand_over()
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join)

    # In the event loop

    def _urge(self) -> None:
        self._is_urgent = bool(self._gathered)
        if self._is_urgent and not self._is_busy:
            self._gather()

    def _gather(self) -> None:
        self._is_busy = True
        self._gathers_until = self._loop.time() + _GATHER
        self._loop.call_soon(self._look, len(self._gathered), 0)

    def _look(self, seen: int, quiet: int) -> None:
        """Hand over what is gathered, unless others have come since ``seen`` were there, or are about to come."""
        count = len(self._gathered)
        quiet = 0 if count > seen else quiet + 1
        if quiet < _QUIET and self._loop.time() < self._gathers_until:
            self._loop.call_soon(self._look, count, quiet)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        group, self._gathered, self._is_urgent = self._gathered, [], False
        self._groups.put(group)

    def _rested(self, writes: int, seconds: float) -> None:
        count_commit(writes, seconds)
        self._is_busy = False
        if self._is_urgent:
            self._gather()

    # In the writer's thread

    def _run(self) -> None:
        while (group := self._groups.get()) is not None:
            began = time.perf_counter()
            self._commit(group)
            self._loop.call_soon_threadsafe(self._rested, len(group), time.perf_counter() - began)
        self._transactions.rest()

    def _commit(self, group: _Group, tries: int = 1) -> None:
        reach(Point.WRITES_TAKEN)
        try:
            self._transactions.commit(partial(_execute, group))
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
        self._loop.call_soon_threadsafe(_tell, group, error)


def _execute(group: _Group, connection: Connection) -> None:
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
    reach(Point.IN_TRANSACTION)


def _is_conflict(error: Exception) -> bool:
    """Whether PostgreSQL let another transaction go first: deadlock, serialization failure, lock not available."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in ("40P01", "40001", "55P03")


def _of_the_database(error: Exception) -> bool:
    return isinstance(error, SQLAlchemyError | OSError) and not isinstance(error, _ROW_ERRORS)


def _failure(error: Exception) -> StoreUnavailable | RowRefused:
    """What is told of it, which never quotes a row: that is personal data."""
    kind = StoreUnavailable if _of_the_database(error) else RowRefused
    return kind(f"not stored: {named(error)}")


def _tell(group: _Group, error: Exception | None) -> None:
    for write in group:
        try:
            write.told(None if error is None else _failure(error))
        except Exception:
            # The others of the group wait too.
            log.exception("what was written could not be told")


def _end(done: asyncio.Future[Any], failure: Exception | None, result: Any = None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(result)
    else:
        done.set_exception(failure)
