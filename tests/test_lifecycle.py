"""Reports in any order, and the schedule of callbacks, without a clock or a socket."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.lifecycle import FAILED, FINAL, INTERIM, Status, steps
from gateway.core.schedule import MINUTE, Schedule, Step
from gateway.mapping.callbacks import CallbackPlan
from gateway.mapping.loader import Plan
from gateway.mapping.schema.callbacks import CallbackSection
from tests.support.servers import plan_for

REPORTED = st.lists(st.sampled_from(Status), max_size=12)
#: In the order in which a message can go through them.
RANK = {Status.QUEUED: 0, Status.SENDING: 1, Status.DELIVERED: 2, Status.SEEN: 3}


def told(reports: list[Status]) -> list[Status]:
    """Everything that a message goes through when these are reported of it, one after the other."""
    current: Status | None = None
    gone_through: list[Status] = []
    for report in reports:
        taken = steps(current, report)
        gone_through += taken
        current = taken[-1] if taken else current
    return gone_through


@given(REPORTED)
def test_whatever_comes_is_told_once_and_forward(reports: list[Status]) -> None:
    gone_through = told(reports)
    assert len(set(gone_through)) == len(gone_through)
    assert sum(status in FAILED or status is Status.DELIVERED for status in gone_through) <= 1
    ranks = [RANK[status] for status in gone_through if status in RANK]
    assert ranks == sorted(ranks)
    if Status.SEEN in gone_through:
        assert gone_through.index(Status.DELIVERED) == gone_through.index(Status.SEEN) - 1 or not FAILED & set(
            gone_through
        )


@given(REPORTED)
def test_the_first_final_report_decides(reports: list[Status]) -> None:
    first = next((report for report in reports if report in FINAL), None)
    ends = [status for status in told(reports) if status in FAILED or status is Status.DELIVERED]
    assert ends == ([] if first is None else [Status.DELIVERED if first is Status.SEEN else first])


@given(REPORTED, st.sampled_from(Status))
def test_a_duplicate_changes_nothing(reports: list[Status], report: Status) -> None:
    assert told([*reports, report]) == told([*reports, report, report])


def test_every_pair_is_in_the_table() -> None:
    for current, report in itertools.product([None, *Status], Status):
        taken = steps(current, report)
        assert taken == () or taken[-1] is report
        assert not (current in FINAL and set(taken) & (INTERIM | FAILED))


# The schedule


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Schedule:
    """As the shipped Messagio file has it."""
    plan: Plan = plan_for(tmp_path_factory.mktemp("plan"), "http://127.0.0.1:1")
    callbacks: CallbackPlan | None = plan.dialects["messagio"].callbacks
    assert callbacks is not None
    return callbacks.target("shop", "messagio", "https://x", CallbackSection(url="https://x")).schedule


def repeats(schedule: Schedule, dice: float = 0.0, lasting: int = 0) -> list[int]:
    """The minutes at which a script that never takes it is told again, when each try lasts so many milliseconds."""
    now, tries, at = lasting, 1, []
    while (following := schedule.next_try(0, now, tries, dice)) is not None:
        at.append(following // MINUTE)
        now, tries = following + lasting, tries + 1
    return at


def test_the_legacy_schedule_to_the_minute(legacy: Schedule) -> None:
    expected = [5, 10, 15, *range(30, 121, 15), *range(150, 1441, 30)]
    assert repeats(legacy) == expected
    assert len(expected) == 54


def test_tries_that_take_their_time_end_within_24_hours_all_the_same(legacy: Schedule) -> None:
    at = repeats(legacy, lasting=30_000)
    assert len(at) <= 54
    assert at[-1] <= 1440


def test_jitter_spreads_and_retry_after_is_honoured() -> None:
    schedule = Schedule([Step(10, 2), Step(30, 1)], give_up=60, jitter=0.5)
    assert schedule.next_try(0, 0, 1, 0.0) == 10 * MINUTE
    assert schedule.next_try(0, 0, 1, 0.999) == int(14.995 * MINUTE)
    assert schedule.next_try(0, 0, 1, 0.0, retry_after=1200) == 20 * MINUTE
    assert schedule.next_try(0, 0, 1, 0.0, retry_after=86_400) == 30 * MINUTE
    assert schedule.next_try(0, 0, 4, 0.0) is None
