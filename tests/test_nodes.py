"""Several gateway processes on one database, SQLite and PostgreSQL: who does what, and what a dead one leaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import ColumnElement, Engine, Update, delete, event, update

from gateway.core.budget import CallBudget
from gateway.errors import StoreUnavailable
from gateway.settings import Address
from gateway.store import nodes, tables
from gateway.store.database import Database, opened
from gateway.store.engine import open_engine
from gateway.store.messages import MessageStore
from gateway.store.nodes import BELIEVED, Node
from tests.support.load import Books, numbers, run_load
from tests.support.postgres import new_database
from tests.support.process import GatewayProcess, gateway_process
from tests.support.raw import exchange, get, signed
from tests.support.servers import (
    accounts,
    eventually,
    free_address,
    running_sandbox,
    write_mappings,
)
from tests.support.stores import NOW, message

#: Nobody has said anything for long.
_SILENT = update(tables.nodes).values(until=0)
#: The clock was set back.
_AHEAD = update(tables.nodes).values(until=2**62)


def is_node(node: str) -> ColumnElement[bool]:
    return tables.nodes.c.id == node


async def _said(database: Database, said: Update) -> None:
    await database.writer.run(lambda connection: connection.execute(said))


async def _joined(database: Database, process: str = "") -> Node:
    node = Node(database)
    await node.join()
    return node


def test_what_a_node_had_is_anothers_when_it_is_gone(engine: Engine) -> None:
    async def scenario(database: Database) -> None:
        first, second = await _joined(database), await _joined(database)
        await first.beat()
        assert first.alive == second.alive == {first.id, second.id}
        one, other = MessageStore(database, first), MessageStore(database, second)
        await one.accept([message(1), message(2)], "main")
        assert (await other.unsettled("main", NOW, 10)).messages == []
        found = await one.unsettled("main", NOW, 10)
        assert ([each.id for each in found.messages], found.taken_over) == (["id-00001", "id-00002"], frozenset())
        await first.leave()
        await second.beat()
        found = await other.unsettled("main", NOW, 10)
        assert [each.id for each in found.messages] == ["id-00001", "id-00002"]
        assert found.taken_over == {"id-00001", "id-00002"}
        assert (await one.unsettled("main", NOW, 10)).messages == []

    _run(engine, scenario)


def test_what_was_taken_over_is_known_as_such_although_it_could_not_be_read_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call may have held it: it must not be taken back, and a double of it is no surprise."""

    def unreadable(*_: object) -> NoReturn:
        raise OSError("the disk does not answer")

    async def scenario(database: Database) -> None:
        first, second = await _joined(database), await _joined(database)
        await MessageStore(database, first).accept([message(1), message(2)], "main")
        await first.leave()
        other = MessageStore(database, second)
        with monkeypatch.context() as patch:
            patch.setattr(other, "_unsettled", unreadable)
            with pytest.raises(StoreUnavailable):
                await other.unsettled("main", NOW, 10)
        assert (await other.unsettled("main", NOW, 1)).taken_over == {"id-00001"}
        assert (await other.unsettled("main", NOW, 10)).taken_over == {"id-00002"}

    _run(engine, scenario)


def test_two_nodes_never_take_the_same(engine: Engine) -> None:
    async def scenario(database: Database) -> None:
        gone = await _joined(database)
        await MessageStore(database, gone).accept([message(each) for each in range(600)], "main")
        await gone.leave()
        async with opened(database.engine) as another:
            both = [await _joined(each) for each in (database, another)]
            for node in both:
                await node.beat()
            stores = [MessageStore(*each) for each in zip((database, another), both, strict=True)]
            found = await asyncio.gather(*(store.unsettled("main", NOW, 400) for store in stores for _ in range(3)))
            await asyncio.gather(*(store.unsettled("main", NOW, 400) for store in stores))
            owned = [{each.id for each in (await store.unsettled("main", NOW, 1000)).messages} for store in stores]
        assert owned[0] & owned[1] == set()
        assert len(owned[0] | owned[1]) == 600
        assert found

    _run(engine, scenario)


def test_works_are_divided_and_pass_on(engine: Engine) -> None:
    async def scenario(database: Database) -> None:
        first, second = await _joined(database), await _joined(database)
        await first.beat()
        assert await first.holds(["a", "b"]) == {"a", "b"}
        assert await second.holds(["a", "b", "c"]) == {"c"}
        assert await first.holds(["a", "b", "c"]) == {"a", "b"}
        await first.leave()
        await second.beat()
        assert await second.holds(["a", "b", "c"]) == {"a", "b", "c"}

    _run(engine, scenario)


def test_a_node_that_was_silent_does_not_believe_itself(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(database: Database) -> None:
        node = await _joined(database)
        assert node.is_sure
        later = nodes._seconds() + BELIEVED - 1
        monkeypatch.setattr(nodes, "_seconds", lambda: later)
        assert not node.is_sure
        # Nobody counted it as dead meanwhile, so that it goes on under its name.
        assert await node.beat()
        assert node.is_sure

    _run(engine, scenario)


def test_a_node_that_is_silent_is_struck_off_by_who_was_heard_all_that_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _clock(monkeypatch)

    async def scenario(database: Database) -> None:
        first, second = await _joined(database), await _joined(database)
        for _ in range(int(BELIEVED)):
            clock.now += 1000
            assert await first.beat()
        assert first.alive == {first.id, second.id}
        clock.now += 1000
        await first.beat()
        assert first.alive == {first.id}
        assert not await second.beat()

    _run(engine, scenario)


def test_a_node_that_is_silent_after_the_clock_was_set_back_is_struck_off_as_ever(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was believed until a time that is far ahead again. Who speaks is struck off no sooner."""
    clock = _clock(monkeypatch)

    async def scenario(database: Database) -> None:
        first, second, third = [await _joined(database) for _ in range(3)]
        for _ in range(int(BELIEVED)):
            clock.now += 1000
            assert all([await each.beat() for each in (first, second, third)])
        clock.now -= 600_000
        for _ in range(int(BELIEVED) + 1):
            assert all([await each.beat() for each in (first, second)])
            assert first.alive == {first.id, second.id, third.id}
            clock.now += 1000
        await first.beat()
        assert first.alive == {first.id, second.id}
        assert await second.beat()
        assert not await third.beat()

    _run(engine, scenario)


def test_when_the_database_was_away_nobody_was_silent(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have messages that SMSBAT answered meanwhile: taken over, those would be sent again."""
    clock = _clock(monkeypatch)

    async def scenario(database: Database) -> None:
        first, second = await _joined(database), await _joined(database)
        clock.now += 20_000
        assert await first.beat()
        newcomer = await _joined(database)
        clock.now += 1000
        assert await newcomer.beat()
        assert await second.beat()
        assert first.alive | {newcomer.id} == newcomer.alive == second.alive == {first.id, second.id, newcomer.id}

    _run(engine, scenario)


@dataclass
class _Clock:
    now: int


def _clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """The clock that all nodes have, set by hand."""
    clock = _Clock(NOW)
    monkeypatch.setattr(nodes, "_now", lambda _connection: clock.now)
    return clock


def test_who_speaks_while_it_is_being_struck_off_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was told that it is believed, so that nobody may take over what it has. A file lets only one write at all."""
    clock, engine = _clock(monkeypatch), open_engine(new_database())

    async def scenario() -> None:
        async with opened(engine) as database, opened(open_engine(engine.url.render_as_string(False))) as another:
            first, second = await _joined(database), await _joined(another)
            for _ in range(int(BELIEVED)):
                clock.now += 1000
                assert await first.beat()
            clock.now += 1000
            speaks = update(tables.nodes).where(is_node(second.id)).values(until=clock.now + 10_000)

            def between(_connection: object, _cursor: object, statement: str, *_: object) -> None:
                if statement.startswith("DELETE FROM nodes"):
                    with another.engine.begin() as connection:
                        connection.execute(speaks)

            event.listen(engine, "before_cursor_execute", between)
            await first.beat()
            assert await second.beat()

    asyncio.run(scenario())


def test_beats_at_the_same_moment_do_not_lock_each_other_out() -> None:
    """Each would strike off who is late, or correct who is ahead of the clock, and all of them are."""
    url = new_database()
    engines = [open_engine(url) for _ in range(3)]

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            databases = [await stack.enter_async_context(opened(engine)) for engine in engines]
            joined = [await _joined(database) for database in databases]
            for _ in range(20):
                for said in (_SILENT, _AHEAD):
                    await _said(databases[0], said)
                    assert all(await asyncio.gather(*(node.beat() for node in joined)))

    asyncio.run(scenario())


def test_a_node_that_was_counted_as_dead_learns_of_it(engine: Engine) -> None:
    async def scenario(database: Database) -> None:
        first, second = await _joined(database), await _joined(database)
        store = MessageStore(database, first)
        await store.accept([message(1)], "main")
        await database.writer.run(lambda connection: connection.execute(delete(tables.nodes).where(is_node(first.id))))
        found = await MessageStore(database, second).unsettled("main", NOW, 10)
        assert found.taken_over == {"id-00001"}
        assert not await first.beat()
        assert await first.holds(["a"]) == frozenset()
        old = first.id
        await first.join()
        assert first.id != old
        assert await first.holds(["a"]) == {"a"}
        assert (await store.unsettled("main", NOW, 10)).messages == []

    _run(engine, scenario)


def test_what_is_of_a_newcomer_is_not_taken_over(engine: Engine) -> None:
    """Who looked around before it came does not know it; the database does."""

    async def scenario(database: Database) -> None:
        first = await _joined(database)
        newcomer = await _joined(database)
        assert newcomer.id not in first.alive
        await MessageStore(database, newcomer).accept([message(1)], "main")
        assert await newcomer.holds(["a"]) == {"a"}
        assert (await MessageStore(database, first).unsettled("main", NOW, 10)).messages == []
        assert await first.holds(["a"]) == frozenset()

    _run(engine, scenario)


def test_a_budget_is_shared() -> None:
    budget = CallBudget(100, 150, 4)
    budget.share(2)
    assert (budget.rate, budget.capacity) == (50, 71)
    budget.share(1)
    assert (budget.rate, budget.capacity) == (100, 146)


def _run(engine: Engine, scenario: object) -> None:
    async def whole() -> None:
        async with opened(engine) as database:
            await scenario(database)  # type: ignore[operator]

    asyncio.run(whole())


class Nodes:
    """Two gateway processes on one database."""

    def __init__(self, folder: Path, database: str, smsbat: str) -> None:
        self._folder, self._database = folder, database
        self._mappings = write_mappings(folder / "mappings", accounts(smsbat))
        self.lives = [self.start("one"), self.start("two")]

    def start(self, name: str) -> GatewayProcess:
        (self._folder / name).mkdir(exist_ok=True)
        return GatewayProcess(self._mappings, self._database, free_address(), self._folder / name / "log", {})


def test_one_of_two_nodes_is_killed_under_load_and_nothing_is_lost(database: str, tmp_path: Path) -> None:
    """Whatever either node said yes to, SMSBAT gets; twice only what was in a call at the kill, under the same id."""
    with running_sandbox(limited=False) as sandbox:
        nodes = Nodes(tmp_path, database, sandbox.url)
        try:
            books: list[Books] = []
            loads = [
                threading.Thread(target=_load, args=(books, each.address, f"38{i}0"))
                for i, each in enumerate(nodes.lives)
            ]
            for load in loads:
                load.start()
            eventually(lambda: sandbox.summary()["messages"] > 400)
            nodes.lives[0].kill()
            for load in loads:
                load.join()
            accepted = [phone for each in books for phone in each.accepted]
            assert len(accepted) > 3000
            eventually(lambda: {each["to"] for each in sandbox.received} >= set(accepted))
            doubles = sandbox.summary()["doubles"]
            assert doubles <= 1000, "at most what its calls in flight held"
            nodes.lives[0] = nodes.start("three")
            assert exchange(nodes.lives[0].address, get(signed(phone="380999999999", txt="hello"))).code == 0
        finally:
            for each in nodes.lives:
                each.kill()


def _load(books: list[Books], address: Address, prefix: str) -> None:
    books.append(run_load(address, numbers(3000, prefix), 8))


def test_workers_share_sockets_and_database(database: str, tmp_path: Path) -> None:
    """One is killed while they serve, and is there again; all end with their parent."""
    with running_sandbox(limited=False) as sandbox:
        mappings = write_mappings(tmp_path / "mappings", accounts(sandbox.url))
        many = {"GATEWAY_WORKERS": "3"}
        with gateway_process(mappings, database, free_address(), tmp_path / "log", many) as parent:
            eventually(lambda: len(parent.children) == 3)
            workers = parent.children
            books = run_load(parent.address, numbers(600), 16)
            assert (len(books.accepted), books.broken) == (600, 0)
            os.kill(workers[0], signal.SIGKILL)
            eventually(lambda: len(parent.children) == 3 and workers[0] not in parent.children)
            again = run_load(parent.address, numbers(300, "3811"), 16)
            # Connections that the killed one had taken already are broken.
            assert len(again.accepted) + again.broken * 20 >= 300
            eventually(lambda: sandbox.summary()["messages"] >= 600 + len(again.accepted))
            left = parent.children
            assert parent.terminate() == 0
            assert not any(Path(f"/proc/{each}").exists() for each in left)
            # The killed one may have had answers of SMSBAT that were not written down yet.
            assert sandbox.summary()["doubles"] <= 16
