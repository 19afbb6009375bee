"""When calls go out, and how many messages each takes: on a clock of the test's own."""

from math import inf

import pytest

from gateway.mapping.schema.accounts import Credential
from gateway.outbound.pace import SPACING, Pace


def begun(**settings: float) -> Pace:
    limits = {"calls_per_second": 1000, "burst": 1000, **settings}
    return Pace(Credential.model_validate({"url": "http://smsbat", "key": "k", **limits}), dice=lambda: 1.0)


def pace(**settings: float) -> Pace:
    """One that has been there for a while."""
    rested = begun(**settings)
    rested.budget(now=-1000.0)
    return rested


def test_an_idle_gateway_sends_what_there_is_at_once() -> None:
    idle = pace()
    assert (idle.delay(waiting=1, now=7.0), idle.share(waiting=1)) == (0, 8)
    assert idle.share(waiting=300) == 300


def test_it_begins_as_if_somebody_else_had_called_until_now() -> None:
    """The plan before a reload did, and a process that was killed may have."""
    new = begun(calls_per_second=100, burst=150, calls_in_flight=10)
    assert (new.budget(now=7.0), new.budget(now=7.5)) == (1, 51)


def test_the_next_call_waits_a_moment_for_others_to_join_unless_it_is_full() -> None:
    busy = pace()
    busy.called(10, now=7.0)
    assert busy.delay(waiting=1, now=7.0) == pytest.approx(SPACING)
    assert busy.delay(waiting=1, now=7.1) == 0
    assert busy.delay(waiting=1000, now=7.0) == 0


def test_a_call_takes_its_share_of_all_that_is_on_the_way() -> None:
    busy = pace()
    busy.called(100, now=7.0)
    assert busy.share(waiting=50) == 75
    busy.called(50, now=7.0)
    assert busy.share(waiting=300) == 150
    busy.ended(100, 0.001)
    busy.ended(50, 0.001)
    assert busy.share(waiting=300) == 300


def test_where_the_next_call_is_far_this_one_takes_what_there_is() -> None:
    for scarce in (pace(calls_per_second=10), pace(calls_in_flight=2)):
        scarce.called(10, now=7.0)
        assert scarce.share(waiting=300) >= 300
    assert scarce.delay(waiting=1, now=8.0) == 0
    scarce.called(300, now=8.0)
    assert scarce.delay(waiting=1, now=9.0) == inf, "no more calls in flight than are allowed"


def test_no_more_messages_are_open_than_one_call_may_hold() -> None:
    busy, sizes = pace(messages_per_call=2000), []
    while busy.delay(waiting=100_000, now=7.0) == 0:
        sizes.append(busy.share(waiting=100_000))
        busy.called(sizes[-1], now=7.0)
    assert sizes == [2000, 2000, 1000]
    busy.ended(2000, 0.001)
    assert busy.delay(waiting=100_000, now=7.0) == 0


@pytest.mark.parametrize("together", [64, 256])
@pytest.mark.parametrize("bursts", [[256], [128, 128], [64, 64, 64, 64]])
def test_clients_whose_requests_came_in_bursts_do_not_stay_together(bursts: list[int], together: int) -> None:
    """256 clients that ask again when they are answered, an SMSBAT that takes 50 ms; what came is stored together."""
    busy, asking, waiting, understood_at = pace(), 0, 0, 0
    under_way = [(10 * i, size) for i, size in enumerate(bursts)]
    stored: list[tuple[int, int]] = []
    sizes: list[int] = []
    for size in bursts:
        busy.called(size, now=-0.05)
    for ms in range(2000):
        while under_way and under_way[0][0] <= ms:
            asking += under_way[0][1]
            busy.ended(under_way.pop(0)[1], 0.05)
        if asking and ms >= understood_at:
            group = min(asking, together)
            asking, understood_at = asking - group, ms + group // 6
            stored.append((understood_at + 2, group))
        while stored and stored[0][0] <= ms:
            waiting += stored.pop(0)[1]
        if waiting and busy.delay(waiting, ms / 1000) <= 0:
            sizes.append(min(waiting, busy.share(waiting)))
            waiting -= sizes[-1]
            busy.called(sizes[-1], ms / 1000)
            under_way.append((ms + 50, sizes[-1]))
    assert max(sizes[-50:]) < 40, "they are not spread over the calls"


def test_a_call_that_takes_long_leaves_room_for_more_calls() -> None:
    busy = pace()
    for _ in range(30):
        busy.called(1, now=7.0)
        busy.ended(1, 0.052)
    assert busy.share(waiting=300) == 30, "if all came at once, they would for ever"
    for _ in range(4):
        busy.called(60, now=7.0)
    assert busy.share(waiting=60) == 30, "ten calls, 5 ms apart, are 50 ms"
    for _ in range(8):
        busy.called(10, now=7.0)
    assert busy.share(waiting=205) == 41, "there are more of them already"
    busy.ended(240, 0.052)
    assert busy.share(waiting=1) == 8, "so few are not spread"


def test_what_is_left_of_the_room_is_not_filled_with_small_calls() -> None:
    busy = pace()
    for size in (3, 1000, 1000, 1000, 1000, 997):
        busy.called(size, now=7.0)
    busy.ended(3, 0.001)
    assert busy.delay(waiting=20_000, now=8.0) == inf
    busy.ended(1000, 0.001)
    assert (busy.delay(waiting=20_000, now=8.0), busy.share(waiting=20_000)) == (0, 1000)


def test_nodes_that_share_a_small_burst_have_fewer_calls_in_flight() -> None:
    """What all of them have on the way and may begin at once is never more than SMSBAT takes."""
    for among in range(1, 20):
        one_of_many = pace(calls_per_second=100, burst=150)
        one_of_many.divide(among)
        begun = 0
        while one_of_many.delay(waiting=1, now=7.0 + begun) != inf:
            one_of_many.called(1, now=7.0 + begun)
            begun += 1
        assert begun == min(16, 150 // among // 2)
        assert among * (begun + one_of_many.budget(now=7.0)) <= 150
