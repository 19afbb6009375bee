"""The ``serve`` command."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version

import structlog

from gateway.app import Doors, Reloading, gateway
from gateway.errors import ConfigurationError
from gateway.logs import configure_logging
from gateway.mapping.loader import Plan, gets_pictures, load
from gateway.process import run_until_stopped
from gateway.settings import NO_PUBLIC_URL, Settings, misspelt
from gateway.store.engine import open_engine, shown
from gateway.store.migrations import migrate
from gateway.switch import files_of
from gateway.workers import Workers


def run_gateway(settings: Settings) -> None:
    """Serve until the process is told to stop. Raises ``ConfigurationError`` when it can't start."""
    configure_logging(settings.log_format, settings.log_level)
    # Looked at first: what changes while they are read is read again.
    reloading = Reloading(partial(load, [settings.mappings]), files_of(settings.mappings))
    plan = reloading.load()
    doors = Doors.of(settings)
    log = structlog.get_logger("gateway.serve")
    for name, near in misspelt(os.environ).items():
        log.warning("a variable of the environment is no setting", name=name, did_you_mean=near)
    if settings.public_url is None and gets_pictures(plan.dialects.values(), plan.accounts):
        log.warning(NO_PUBLIC_URL)

    if settings.workers == 1:
        _serve(plan, settings, doors, reloading)
        return
    engine = open_engine(settings.database)
    migrate(engine)
    engine.dispose()
    # The parent passes it on to all workers.
    reloading = replace(reloading, tell_others=partial(os.kill, os.getpid(), signal.SIGHUP))
    Workers(settings.workers, partial(_serve, plan, settings, doors, reloading)).watch()


def _serve(
    plan: Plan,
    settings: Settings,
    doors: Doors,
    reloading: Reloading,
    parents_end: int | None = None,
    again: bool = False,
) -> None:
    log = structlog.get_logger("gateway.serve")
    early: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: early.append(number))
    if again:
        reloading = replace(reloading, used=files_of(settings.mappings))
        plan = _newest(plan, reloading.load)

    async def program(stop: asyncio.Event) -> None:
        async with gateway(plan, settings, doors, reloading=reloading) as switch:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, switch.reload_wanted.set)
            if early:
                switch.reload_wanted.set()
            names = [*plan.dialects]
            listens = {"listen": settings.listen, "tls": settings.tls_listen, "operator": settings.operator_listen}
            log.info("serving", version=version("smsbat-gateway"), **listens, **_places(settings), dialects=names)
            await stop.wait()
            log.info("stopping")

    run_until_stopped(program, parents_end)


def _places(settings: Settings) -> dict[str, str]:
    """Where it all is."""
    return {"database": shown(settings.database), "mappings": str(settings.mappings), "media": settings.media}


def _newest(plan: Plan, loading: Callable[[], Plan]) -> Plan:
    """The plan of the files as they are: those that the parent loaded may have changed since, secrets too."""
    try:
        return loading()
    except ConfigurationError as error:
        log = structlog.get_logger("gateway.serve")
        log.error("the mapping files are wrong, and those of the start are used", problems=str(error))
        return plan
