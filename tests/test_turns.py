"""How many requests begin in one turn of the event loop, and what is done together behind it."""

import asyncio

from gateway.inbound.turns import Together, Turns, abreast


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


def test_what_comes_in_a_turn_is_done_behind_it_whatever_is_wrong_with_one_of_them() -> None:
    async def program() -> list[str]:
        done: list[str] = []

        def do(name: str) -> None:
            done.append(name)
            if name == "bad":
                raise ValueError

        together = Together(do)
        for name in ("first", "bad", "third"):
            together.put(name)
        assert not done
        await asyncio.sleep(0)
        together.put("later")
        await asyncio.sleep(0)
        return done

    assert asyncio.run(program()) == ["first", "bad", "third", "later"]


def test_requests_that_come_together_go_through_their_stages_side_by_side() -> None:
    async def program() -> list[str]:
        done: list[str] = []

        async def request(name: str) -> None:
            done.append(f"{name} read")
            await abreast()
            done.append(f"{name} checked")

        await asyncio.gather(request("first"), request("second"))
        return done

    assert asyncio.run(program()) == ["first read", "second read", "first checked", "second checked"]
