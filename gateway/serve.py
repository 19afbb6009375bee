"""The ``serve`` command."""

from __future__ import annotations

import asyncio

import structlog

from gateway.app import gateway
from gateway.listener import bind
from gateway.logs import configure_logging
from gateway.mapping.loader import load
from gateway.process import run_until_stopped
from gateway.settings import Settings


def run_gateway(settings: Settings) -> None:
    """Serve until the process is told to stop. Raises ``ConfigurationError`` when it can't start."""
    configure_logging(settings.log_format, settings.log_level)
    plan = load([settings.mappings])
    legacy, operator = bind(settings.listen), bind(settings.operator_listen)
    log = structlog.get_logger("gateway.serve")

    async def program(stop: asyncio.Event) -> None:
        async with gateway(plan, settings.database, legacy, operator):
            log.info("serving", listen=settings.listen, operator=settings.operator_listen, dialects=[*plan.dialects])
            await stop.wait()
            log.info("stopping")

    run_until_stopped(program)
