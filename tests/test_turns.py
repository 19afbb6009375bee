"""How many requests begin in one turn of the event loop."""

import asyncio

from gateway.inbound.turns import Turns


def test_those_that_come_at_once_begin_few_by_few_and_in_their_order() -> None:
    async def program() -> list[list[int]]:
        turns = Turns(2)
        begun: list[int] = []
        seen: list[list[int]] = []
        for number in range(5):
            turns.begin(begun.append, number)
        for _ in range(4):
            seen.append([*begun])
            await asyncio.sleep(0)
        return seen

    assert asyncio.run(program()) == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]


def test_whoever_comes_later_does_not_overtake_those_who_wait() -> None:
    async def program() -> list[str]:
        turns = Turns(1)
        begun: list[str] = []
        for name in ("first", "second"):
            turns.begin(begun.append, name)
        await asyncio.sleep(0)
        turns.begin(begun.append, "third")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return begun

    assert asyncio.run(program()) == ["first", "second", "third"]
