"""Retry, breaker, budget and ids: pure rules on a clock of the test's own."""

import uuid
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.budget import CallBudget
from gateway.core.ids import MessageIds
from gateway.core.messages import only_digits
from gateway.core.retry import Breaker, Pause, backoff


def test_backoff_doubles_and_ends_somewhere() -> None:
    assert [backoff(attempt, dice=1.0) for attempt in (1, 2, 3, 4, 5, 7, 100)] == [1, 2, 4, 8, 16, 60, 60]
    assert backoff(1, dice=0.0) == 0.75


def test_breaker_lets_one_probe_through() -> None:
    breaker = Breaker(threshold=3)
    for _ in range(3):
        assert breaker.delay(now=0) == 0
        assert not breaker.called()
    for _ in range(3):
        breaker.failed(now=0, dice=1.0, probe=False)
    assert breaker.delay(now=0) == 1
    assert breaker.delay(now=1) == 0
    assert breaker.called()
    assert breaker.delay(now=1) == float("inf")
    breaker.failed(now=1, dice=1.0, probe=False)
    assert breaker.delay(now=1) == float("inf"), "a straggler let a second probe out"
    breaker.failed(now=1, dice=1.0, probe=True)
    assert breaker.delay(now=1) == 2
    breaker.called()
    breaker.succeeded()
    assert breaker.delay(now=1) == 0
    assert not breaker.is_open


def test_pause_after_a_refusal_for_rate() -> None:
    pause = Pause()
    for _ in range(4):
        pause.refused(now=0, retry_after=None, dice=1.0)
    assert (pause.times, pause.until) == (1, 1), "four calls under way together are one step"
    pause.refused(now=1, retry_after=20, dice=1.0)
    pause.refused(now=2, retry_after=0, dice=1.0)
    assert pause.until == 21, "a later answer does not shorten an earlier pause"
    pause.passed()
    pause.refused(now=30, retry_after=0, dice=1.0)
    assert pause.until == 30.5, "Retry-After: 0 is no leave to hammer"
    pause.refused(now=31, retry_after=99_999, dice=1.0)
    assert pause.until == 31 + 3600


def test_a_call_that_is_let_through_within_a_pause() -> None:
    pause = Pause()
    pause.refused(now=0, retry_after=None, dice=1.0)
    pause.passed()
    pause.refused(now=0.5, retry_after=None, dice=1.0)
    assert (pause.times, pause.until) == (1, 1.5), "it is the first refusal again"


@given(st.lists(st.floats(0, 0.2), max_size=400), st.lists(st.floats(0, 0.05), min_size=400, max_size=400))
def test_the_receiver_never_counts_more_calls_than_it_allows(pauses: list[float], delays: list[float]) -> None:
    """Calls leave when the budget says so and arrive up to 50 ms late, with at most 4 on their way."""
    rate, burst, in_flight = 100, 150, 4
    ours, theirs = CallBudget(rate, burst, in_flight), CallBudget(rate, burst, 0)
    now, arrivals = 0.0, [0.0] * in_flight
    for pause, delay in zip(pauses, delays, strict=False):
        now = max(now + pause * 0.01, arrivals[-in_flight])
        now += ours.delay(now)
        ours.delay(now)
        ours.take()
        arrivals.append(max(arrivals[-1], now + delay))
    for arrival in sorted(arrivals[in_flight:]):
        assert theirs.delay(arrival) < 1e-9
        theirs.take()


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_that_begins_with_the_time(now: int, entropy: bytes) -> None:
    made = MessageIds(lambda count: entropy).new(now)
    parsed = uuid.UUID(made)
    assert (str(parsed), parsed.version, parsed.variant, parsed.int >> 80) == (made, 7, uuid.RFC_4122, now)


@given(st.lists(st.integers(1_700_000_000_000, 1_700_000_000_003), max_size=50), st.randoms())
def test_each_id_is_greater_than_the_one_before(times: list[int], random: Random) -> None:
    """Also within a millisecond, and when the clock is set back."""
    ids = MessageIds(random.randbytes)
    made = [ids.new(now) for now in times]
    assert made == sorted(set(made))


def test_numbers_are_compared_by_digits() -> None:
    assert only_digits("+38 (050) 123-45-67") == "380501234567"
