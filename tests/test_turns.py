"""Which requests go on in one turn of the event loop, and what is done together behind it."""

import asyncio
import types
from collections.abc import Generator
from contextvars import ContextVar

from gateway.inbound.turns import Together, Turns, abreast


async def noted(name: str, notes: list[str]) -> None:
    notes.append(name)


def test_those_that_come_at_once_begin_few_by_few_and_in_their_order() -> None:
    async def program() -> list[str]:
        turns, notes, seen = Turns(2), list[str](), list[str]()
        for name in "abcde":
            turns.begin(noted(name, notes))
        for _ in range(4):
            seen.append("".join(notes))
            await asyncio.sleep(0)
        return seen

    assert asyncio.run(program()) == ["", "ab", "abcd", "abcde"]


def test_whoever_comes_later_does_not_overtake_those_who_wait() -> None:
    async def program() -> list[str]:
        turns, notes = Turns(1), list[str]()
        turns.begin(noted("first", notes))
        turns.begin(noted("second", notes))
        await asyncio.sleep(0)
        turns.begin(noted("third", notes))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return notes

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
    """Those that waited for the same commit too, behind it."""

    async def request(name: str, committed: asyncio.Future[str], notes: list[str]) -> None:
        notes.append(f"{name} read")
        await abreast()
        notes.append(f"{name} checked")
        await committed
        notes.append(f"{name} {committed.result()}")
        await abreast()
        notes.append(f"{name} answered")

    async def program() -> list[str]:
        turns, committed, notes = Turns(2), asyncio.get_running_loop().create_future(), list[str]()
        for name in ("first", "second"):
            turns.begin(request(name, committed, notes))
        await asyncio.sleep(0)
        committed.set_result("stored")
        while len(notes) < 8:
            await asyncio.sleep(0)
        return notes

    stages = ("read", "checked", "stored", "answered")
    assert asyncio.run(program()) == [f"{name} {stage}" for stage in stages for name in ("first", "second")]


def test_what_one_request_fails_with_does_not_concern_the_others() -> None:
    async def fails(kind: type[BaseException]) -> None:
        await abreast()
        raise kind

    async def program() -> list[str]:
        turns, notes = Turns(8), list[str]()
        turns.begin(fails(ValueError))
        turns.begin(fails(asyncio.CancelledError))
        turns.begin(noted("third", notes))
        await asyncio.sleep(0)
        turns.begin(noted("later", notes))
        await asyncio.sleep(0)
        return notes

    assert asyncio.run(program()) == ["third", "later"]


def test_each_request_has_a_context_of_its_own_which_it_keeps_while_it_waits() -> None:
    own = ContextVar("own", default="nobody's")

    async def request(name: str, wait: asyncio.Event, notes: list[str]) -> None:
        own.set(name)
        await abreast()
        await wait.wait()
        notes.append(own.get())

    async def program() -> list[str]:
        turns, wait, notes = Turns(2), asyncio.Event(), list[str]()
        for name in ("first", "second"):
            turns.begin(request(name, wait, notes))
        await asyncio.sleep(0)
        wait.set()
        while len(notes) < 2:
            await asyncio.sleep(0)
        return [*notes, own.get()]

    assert asyncio.run(program()) == ["first", "second", "nobody's"]


def test_a_request_that_waits_for_what_is_no_future_fails_alone() -> None:
    @types.coroutine
    def odd() -> Generator[int]:
        yield 42

    async def request(notes: list[str]) -> None:
        try:
            await odd()
        except RuntimeError:
            notes.append("odd")

    async def program() -> list[str]:
        turns, notes = Turns(8), list[str]()
        turns.begin(request(notes))
        turns.begin(noted("second", notes))
        await asyncio.sleep(0)
        return notes

    assert asyncio.run(program()) == ["odd", "second"]


def test_a_request_that_is_not_waited_for_any_longer_is_told_so_and_may_still_answer() -> None:
    async def request(forever: asyncio.Future[None], notes: list[str]) -> None:
        try:
            await forever
        except asyncio.CancelledError:
            await abreast()
            notes.append("told")

    async def program() -> list[str]:
        turns, notes, forever = Turns(1), list[str](), asyncio.get_running_loop().create_future()
        served = turns.begin(request(forever, notes))
        await asyncio.sleep(0)
        served.cancel("no more time")
        forever.set_result(None)
        served.cancel("over already")
        for _ in range(3):
            await asyncio.sleep(0)
        return notes

    assert asyncio.run(program()) == ["told"]
