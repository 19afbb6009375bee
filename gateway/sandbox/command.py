"""The ``sandbox`` command."""

from __future__ import annotations

import asyncio
from typing import Any

import typer

from gateway.errors import ConfigurationError
from gateway.listener import bind
from gateway.process import run_until_stopped
from gateway.sandbox.behaviour import Fault
from gateway.sandbox.server import serving
from gateway.sandbox.smsbat import Sandbox, SandboxOptions

SHAPES = ("guide-001", "help-004")


def run_sandbox(address: str, options: dict[str, Any]) -> None:
    """Serve the sandbox until the process is told to stop. Raises ``ConfigurationError``."""
    if options["shape"] not in SHAPES:
        raise ConfigurationError(f"--shape must be one of {', '.join(SHAPES)}")
    if options["fault"] is not None and options["fault"] not in list(Fault):
        raise ConfigurationError(f"--fault must be one of {', '.join(Fault)}")
    sandbox = Sandbox(SandboxOptions(**{**options, "fault": Fault(options["fault"]) if options["fault"] else None}))
    bound = bind(address)

    async def program(stop: asyncio.Event) -> None:
        async with serving(sandbox, bound):
            typer.echo(
                f"Sandbox SMSBAT on http://{address}; --help lists the recipient numbers with a behaviour of their own"
            )
            await stop.wait()

    run_until_stopped(program)
