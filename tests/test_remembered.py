"""What is remembered of hosts and paths, which strangers can make up without end."""

from __future__ import annotations

from gateway.mapping.remembered import Remembered


def test_what_is_asked_again_is_known() -> None:
    remembered: Remembered[int] = Remembered()
    assert remembered.get(("GET", "/", "bulk.example")) is None
    assert remembered.keep(("GET", "/", "bulk.example"), 7) == 7
    assert remembered.get(("GET", "/", "bulk.example")) == 7


def test_strangers_do_not_fill_the_memory() -> None:
    remembered: Remembered[int] = Remembered()
    for number in range(5000):
        remembered.keep((f"{number}.example", "/"), number)
        assert len(remembered) <= 1000
    assert remembered.get(("4999.example", "/")) == 4999, "whoever asks last, is known"
    long = ("x" * 400_000, "/")
    assert remembered.keep(long, 1) == 1
    assert remembered.get(long) is None
