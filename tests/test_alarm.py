"""Timers that may be set again and again: on the event loop of production, and on Python's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from gateway.outbound.alarm import Alarm

LOOPS = [uvloop.new_event_loop, asyncio.new_event_loop]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("seconds", [[0.0, 0.0], [0.0002, 0.0001], [0.0001, 0.0002], [60.0, 0.001], [0.001, 60.0]])
def test_it_rings_once_at_the_earliest(seconds: list[float], loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scenario() -> int:
        rung = asyncio.Event()
        times = 0

        def ring() -> None:
            nonlocal times
            times += 1
            rung.set()

        alarm = Alarm(ring)
        for each in seconds:
            alarm.ring_after(each)
        async with asyncio.timeout(10):
            await rung.wait()
        alarm.ring_after(0.0)
        alarm.stop()
        await asyncio.sleep(0)
        return times

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(scenario()) == 1
