"""One gateway process per SQLite file: two would both send what waits in it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator

import structlog
from sqlalchemy import Engine

from gateway.errors import ConfigurationError

log = structlog.get_logger("gateway.store")

#: Seconds that a new process waits for the one before it to finish its requests and calls.
PATIENCE = 100.0
_PAUSE = 0.05


@contextlib.asynccontextmanager
async def sole_ownership(engine: Engine) -> AsyncIterator[None]:
    """Own an engine's database while the block runs; the kernel ends ownership with the process.

    Raises ``ConfigurationError`` when another process does not let go of it.
    """
    descriptor = os.open(f"{engine.url.database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


async def _lock(descriptor: int) -> None:
    told = False
    try:
        async with asyncio.timeout(PATIENCE):
            while not _locked(descriptor):
                if not told:
                    log.warning("another gateway has this database; waiting for it to end")
                told = True
                await asyncio.sleep(_PAUSE)
    except TimeoutError as error:
        raise ConfigurationError("another gateway has this database, and does not end") from error


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
