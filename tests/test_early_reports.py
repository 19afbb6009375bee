"""Reports that came before their receipts: how soon they are tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from gateway.errors import StoreUnavailable
from gateway.outbound.callbacks import CallbackDispatcher
from gateway.outbound.reports import LONGEST_PAUSE, PAUSE, Reports
from gateway.store.reports import Applied, ReportStore

WAITING, ONE_LESS, NONE = Applied(early=2), Applied(early=1, caught_up=True), Applied()
#: What a try finds, and whether new ones come while the next one is waited for.
Round = tuple[Applied | StoreUnavailable, bool]


class _Store:
    def __init__(self, rounds: Sequence[Round]) -> None:
        self.left = [found for found, _ in rounds]

    async def apply_early(self, now: int) -> Applied:
        found = self.left.pop(0)
        if isinstance(found, StoreUnavailable):
            raise found
        return found


class _Dispatcher:
    def wake(self, owed: object) -> None: ...


def pauses(monkeypatch: pytest.MonkeyPatch, rounds: Sequence[Round]) -> list[float]:
    """The seconds between the tries."""
    seen: list[float] = []
    arrivals = [arrived for _, arrived in rounds]
    reports = Reports(cast("ReportStore", _Store(rounds)), cast("CallbackDispatcher", _Dispatcher()))

    async def wait(seconds: float, _known: int) -> bool:
        seen.append(seconds)
        if len(seen) == len(rounds):
            raise asyncio.CancelledError
        reports._early.set()
        return arrivals[len(seen) - 1]

    monkeypatch.setattr(reports, "_wait", wait)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(reports.run())
    return seen


def test_those_of_other_software_are_tried_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pauses(monkeypatch, [(WAITING, False)] * 8) == [1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


@pytest.mark.parametrize(
    "between",
    [(ONE_LESS, False), (NONE, False), (WAITING, True)],
    ids=["one of them found its message", "nothing waits", "a new one came"],
)
def test_then_the_next_one_is_tried_soon(monkeypatch: pytest.MonkeyPatch, between: Round) -> None:
    tried = pauses(monkeypatch, [*[(WAITING, False)] * 5, between, *[(WAITING, False)] * 2])
    assert tried[-2:] == [PAUSE, 2 * PAUSE]


def test_a_store_in_trouble_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pauses(monkeypatch, [(StoreUnavailable("not read"), False)] * 3) == [1, 2, 4]
