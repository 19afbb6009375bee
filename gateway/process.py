"""Running an asynchronous program until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable

import uvloop

#: New objects before the youngest are looked at for cycles, and such looks before older ones are. Requests leave hardly
#: any behind, and looking through all that hundreds of them hold at once took a tenth of the time.
_COLLECT = (25_000, 20, 20)
#: Of which libuv lets half look up names at a time. By its own default those are two, so that two partners whose name
#: servers do not answer would hold up new connections to SMSBAT.
_THREADS = 64


def run_until_stopped(program: Callable[[asyncio.Event], Awaitable[None]], parents_end: int | None = None) -> None:
    """Run ``program``; its event is set by SIGTERM or Ctrl-C, and it ends by returning.

    The event is set too when ``parents_end`` can be read: then the parent process is gone.
    """

    async def watched() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if parents_end is not None:
            loop.add_reader(parents_end, _parent_is_gone, loop, parents_end, stop)
        await program(stop)

    gc.set_threshold(*_COLLECT)
    os.environ.setdefault("UV_THREADPOOL_SIZE", str(_THREADS))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(watched())


def _parent_is_gone(loop: asyncio.AbstractEventLoop, parents_end: int, stop: asyncio.Event) -> None:
    loop.remove_reader(parents_end)
    stop.set()
