"""Waits that end when their time has come, and those that are over before."""

from __future__ import annotations

import asyncio
import time

from gateway.outbound.deadlines import Deadlines
from gateway.outbound.pending import Verdicts


def test_a_wait_ends_when_its_time_has_come_and_not_before() -> None:
    async def scenario() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines()
        began = loop.time()
        waits = [(seconds, Verdicts(["id-1"], loop.create_future())) for seconds in (0.12, 0.02, 0.021, 0.3)]
        for seconds, verdicts in waits:
            deadlines.end(verdicts, began + seconds)

        async def lasted(verdicts: Verdicts) -> float:
            await verdicts.over
            assert not verdicts.known
            return loop.time() - began

        for (seconds, _), took in zip(waits, await asyncio.gather(*(lasted(each) for _, each in waits)), strict=True):
            assert seconds - 0.005 <= took < seconds + 0.2

    asyncio.run(scenario())


def test_a_wait_without_time_is_none() -> None:
    async def scenario() -> None:
        verdicts = Verdicts(["id-1"], asyncio.get_running_loop().create_future())
        assert not Deadlines().end(verdicts, time.monotonic())
        await asyncio.wait_for(verdicts.over, 0.01)
        assert not verdicts.known

    asyncio.run(scenario())
