"""The short form of the ledger: a few kills at every kind of place. ``make ledger`` is the long one."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.ledger.books import Books, Kill
from benchmarks.ledger.places import Outside, Place
from benchmarks.ledger.run import Arrangement, Result, run
from gateway.points import Point

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
    books.took(2, 110.0, body).answered = 110.5
    return books


@pytest.mark.parametrize(
    ("kill", "expected"),
    [
        (Kill(1, 100.2, None), (1, 0, 0)),
        (Kill(1, 100.6, None), (0, 1, 0)),
        (Kill(1, 111.0, None), (0, 0, 1)),
        (Kill(3, 100.2, None), (0, 0, 1)),
        # The call of a killed process can be read behind that of the next one.
        (Kill(2, 100.0, None), (1, 0, 0)),
    ],
)
def test_a_double_is_labelled_by_the_kill_that_explains_it(kill: Kill, expected: tuple[int, int, int]) -> None:
    doubles = books_with(kill).doubles()
    assert (doubles.unanswered, doubles.unwritten, doubles.outside) == expected


@pytest.mark.parametrize(("on_disk", "expected"), [(100.7, (0, 0, 1)), (110.7, (0, 1, 0))])
def test_what_the_disk_has_may_not_be_doubled(on_disk: float, expected: tuple[int, int, int]) -> None:
    """Whatever the kill explains otherwise; the second call is of 110."""
    books = books_with(Kill(1, 100.6, None))
    books.was_on_disk(["a"], on_disk)
    books.was_on_disk(["a"], 120.0)
    doubles = books.doubles()
    assert (doubles.unanswered, doubles.unwritten, doubles.outside) == expected


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
    assert books.unwritten == {"a", "c"}
    assert (books.refused_and_sent, books.under_two_ids) == ({"1"}, {"1"})
