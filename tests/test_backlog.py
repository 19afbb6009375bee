"""What waits in memory and what stays on disk: the same message is never there twice, and none is forgotten."""

from __future__ import annotations

import asyncio

import pytest

from gateway.mapping.accounts import Account
from gateway.outbound.backlog import Backlog
from gateway.outbound.pending import Pending, Verdicts
from tests.support.stores import MESSAGE

ACCOUNT = Account("shop", "main", "guide-001", "viber_promo", {}, 5, False)


def pending(number: int, batch_cap: int = 5000) -> Pending:
    return Pending(MESSAGE._replace(id=f"id-{number}"), ACCOUNT, batch_cap=batch_cap)


def ids(taken: list[Pending]) -> list[str]:
    return [each.message.id for each in taken]


@pytest.fixture
def backlog() -> Backlog:
    return Backlog(room=4)


def test_all_that_waits_goes_together_up_to_what_each_bears(backlog: Backlog) -> None:
    backlog.add([pending(1), pending(2), pending(3, batch_cap=2), pending(4)], whatever_the_room=False)
    assert ids(backlog.take(3)) == ["id-1", "id-2"]
    assert ids(backlog.take(3)) == ["id-3", "id-4"]
    assert backlog.take(3) == []


def test_without_room_a_submission_stays_on_disk_as_a_whole(backlog: Backlog) -> None:
    backlog.add([pending(number) for number in range(4)], whatever_the_room=False)
    backlog.add([pending(8), pending(9)], whatever_the_room=False)
    assert (len(backlog), backlog.overflowed, backlog.wants_more) == (4, True, False)
    backlog.add([pending(7)], whatever_the_room=True)
    assert len(backlog) == 5


def test_a_message_that_a_reading_brought_first_is_not_queued_again(backlog: Backlog) -> None:
    """And the client that waits for it is told: what is known of it from then on is one object."""
    backlog.begin_refill()
    backlog.end_refill([pending(1)], exhausted=True)

    async def request() -> None:
        new = pending(1)
        new.verdicts = Verdicts(["id-1"], asyncio.get_running_loop().create_future())
        known = backlog.add([new], whatever_the_room=True)
        assert known[0] is not new
        assert known[0].verdicts is new.verdicts
        assert backlog.take(10) == known

    asyncio.run(request())


def test_what_is_settled_during_a_reading_is_not_queued_by_it(backlog: Backlog) -> None:
    backlog.add([pending(1)], whatever_the_room=False)
    backlog.take(1)
    backlog.begin_refill()
    backlog.forget(["id-1"])
    backlog.end_refill([pending(1), pending(2)], exhausted=True)
    assert ids(backlog.take(10)) == ["id-2"]
    assert not backlog.overflowed


def test_what_stayed_on_disk_during_a_reading_is_read_later(backlog: Backlog) -> None:
    backlog.stayed_on_disk()
    backlog.begin_refill()
    assert not backlog.wants_more
    backlog.add([pending(1)], whatever_the_room=False)
    backlog.end_refill([], exhausted=True)
    assert backlog.wants_more


def test_a_reading_for_held_messages_keeps_new_ones_waiting_on_nothing(backlog: Backlog) -> None:
    backlog.reading_wanted = True
    assert backlog.wants_more
    backlog.begin_refill()
    backlog.add([pending(2)], whatever_the_room=False)
    backlog.end_refill([pending(1)], exhausted=True)
    assert (ids(backlog.take(10)), backlog.wants_more, backlog.overflowed) == (["id-2", "id-1"], False, False)


def test_withdrawn_messages_are_not_taken(backlog: Backlog) -> None:
    first, second = pending(1), pending(2)
    backlog.add([first, second], whatever_the_room=False)
    first.withdrawn = True
    assert backlog.take(10) == [second]


def test_what_failed_goes_behind_what_did_not(backlog: Backlog) -> None:
    failed, refused = pending(1), pending(2)
    backlog.add([failed, refused, pending(3)], whatever_the_room=False)
    backlog.take(2)
    backlog.put_last([failed])
    backlog.put_back([refused])
    assert ids(backlog.take(10)) == ["id-2", "id-3", "id-1"]


def test_a_node_that_starts_over_sends_nothing_that_others_may_have() -> None:
    backlog = Backlog()
    waiting, in_call, settling, later = (pending(number) for number in range(4))
    backlog.add([waiting, in_call, settling, later], whatever_the_room=True)
    assert backlog.take(4) == [waiting, in_call, settling, later]
    backlog.put_back([waiting])
    in_call.in_call, settling.settling = True, True
    backlog.start_over()
    # What was in a call or waited for its next try comes back from there, and is dropped.
    backlog.put_last([later])
    backlog.put_back([in_call])
    assert len(backlog) == 0
    # What SMSBAT said of it is still to be written down: read again, it is known.
    backlog.begin_refill()
    backlog.end_refill([pending(2), pending(3)], exhausted=True)
    assert [each.message.id for each in backlog.take(9)] == [pending(3).message.id]
    assert all(each.maybe_out for each in (waiting, in_call, settling, later)), "nobody can take it back any more"
