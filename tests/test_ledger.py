"""The short form of the ledger: a few kills at every kind of place. ``make ledger`` is the long one."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import pytest
from sqlalchemy import insert

from benchmarks.ledger.books import Books, Kill
from benchmarks.ledger.disk import Disk
from benchmarks.ledger.places import Outside, Place
from benchmarks.ledger.run import Arrangement, Result, run
from gateway.core.messages import State
from gateway.points import Point
from gateway.store.engine import open_engine
from gateway.store.messages import message_row
from gateway.store.migrations import migrate
from gateway.store.tables import messages
from tests.support.stores import message

#: Those that a first second has, each once; what takes a minute to come about is in the long form.
PLACES: tuple[Place, ...] = (Point.IN_TRANSACTION, Point.COMMITTED, Outside.CALL_UNANSWERED, Point.HOOK_STORED)


def test_after_kills_the_books_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """On both databases at the same time: most of a life's beginning is waiting."""

    async def whole() -> list[Result]:
        arrangements = (Arrangement("sqlite"), Arrangement("postgresql"))
        runs = (run(each, len(PLACES), seed=1, places=PLACES, passings=40) for each in arrangements)
        return await asyncio.gather(*runs)

    for result in asyncio.run(whole()):
        books, doubles = result.books, result.books.doubles()
        with capsys.disabled():
            print(
                f"\n  {result.arrangement}: {len(books.kills)} kills, {len(books.accepted)} accepted,"
                f" {len(books.owed)} reports, {doubles.unanswered} + {doubles.unwritten} doubles in the window"
            )
        assert result.faults == []
        assert len(books.kills) >= len(PLACES)
        assert len(books.accepted) > 20


def books_with(*kills: Kill) -> Books:
    """Message a went out in two calls, of the lives 1 and 2, each answered."""
    books = Books(accepted={"1": "a"}, kills=[*kills])
    body = b'{"messages": [{"customerMessageId": "a", "to": "1"}]}'
    books.took(1, 100.0, body).answered = 100.5
    books.took(2, 120.0, body).answered = 120.5
    return books


@pytest.mark.parametrize(
    ("kill", "expected"),
    [
        (Kill(1, 100.2, None), (1, 0, 0)),
        (Kill(1, 100.6, None), (0, 1, 0)),
        (Kill(1, 110.0, None), (0, 1, 0)),
        # So long nothing takes to reach the disk.
        (Kill(1, 111.0, None), (0, 0, 1)),
        (Kill(3, 100.2, None), (0, 0, 1)),
        # The call of a killed process can be read behind that of the next one.
        (Kill(2, 99.0, None), (1, 0, 0)),
        # Behind both calls: whoever made the second one did not do so for that.
        (Kill(1, 120.2, None), (0, 0, 1)),
    ],
)
def test_a_double_is_labelled_by_the_kill_that_explains_it(kill: Kill, expected: tuple[int, int, int]) -> None:
    doubles = books_with(kill).doubles()
    assert (doubles.unanswered, doubles.unwritten, doubles.outside) == expected


@pytest.mark.parametrize(("on_disk", "expected"), [(100.7, (0, 0, 1)), (120.7, (0, 1, 0))])
def test_what_the_disk_has_may_not_be_doubled(on_disk: float, expected: tuple[int, int, int]) -> None:
    """Whatever the kill explains otherwise; the second call is of 120."""
    books = books_with(Kill(1, 100.6, None))
    books.was_on_disk(["a"], on_disk)
    books.was_on_disk(["a"], 130.0)
    doubles = books.doubles()
    assert (doubles.unanswered, doubles.unwritten, doubles.outside) == expected


def test_the_disk_is_read_without_writing_to_it(tmp_path: Path) -> None:
    """What a killed process wrote may stand in the log beside the file only: the next one is to find it so."""
    left = tmp_path / "left # by a killed one"
    assert Disk(f"sqlite:///{left}/gateway.db").taken([]) == set()
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(insert(messages), [message_row(message(n), "main", state) for n, state in enumerate(State)])
    left.mkdir()
    before = [Path(shutil.copy(tmp_path / f"gateway.db{each}", left)).read_bytes() for each in ("", "-wal")]
    engine.dispose()
    with contextlib.closing(Disk(f"sqlite:///{left}/gateway.db")) as disk:
        taken = {message(n).id for n, state in enumerate(State) if state in (State.SUBMITTED, State.UNPAIRED)}
        assert disk.taken([message(n).id for n in range(20)]) == taken
    assert [(left / f"gateway.db{each}").read_bytes() for each in ("", "-wal")] == before


def test_what_must_not_be_is_seen() -> None:
    """A comparison that finds nothing wrong in wrong books proves nothing."""
    books = books_with()
    books.accepted["2"] = "b"
    books.owed.update({"a": "delivered", "b": "delivered"})
    books.was_told("type=delivery&msg_id=a&status=undelivered")
    books.bulks.add("news")
    books.refused.add("1")
    books.took(3, 120.0, b'{"messages": [{"customerMessageId": "c", "to": "1"}]}')
    assert (books.lost, books.untold) == ({"2"}, {"a", "b", "news"})
    assert (books.refused_and_sent, books.under_two_ids) == ({"1"}, {"1"})
