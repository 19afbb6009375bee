"""What is required of the gateway, beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.side_by_side import special
from benchmarks.side_by_side.contenders import (
    AIOHTTP,
    BASELINE,
    CEILING,
    GATEWAY,
    KANNEL,
    KANNEL_SPOOL,
    NGINX_BARE,
    NGINX_LUA,
    ORM,
)
from benchmarks.side_by_side.figures import Results, Spread, ratios
from benchmarks.side_by_side.points import DELAYED, LIMITED, MOST, ONE, SIXTY_FOUR

_MIB = 2**20
FLUSH = "disk flush"


@dataclass(frozen=True, slots=True)
class Requirement:
    """``measured`` must not be less than ``bound``, or not more when it ``is_limit``; ``None`` was not measured."""

    text: str
    bound: float
    measured: Spread | None
    is_limit: bool = False
    form: str = ".2f"

    @property
    def target(self) -> str:
        """The bound in words."""
        return f"{'at most' if self.is_limit else 'at least'} {self.bound:{self.form}}"

    @property
    def verdict(self) -> str:
        """By the median, whose spread stands beside it."""
        if self.measured is None:
            return "not measured"
        met = self.measured.median <= self.bound if self.is_limit else self.measured.median >= self.bound
        return "met" if met else "NOT MET"


def requirements(results: Results) -> list[Requirement]:
    """All of them, in the order of the issue that asked for them."""
    return [*_throughput(results), *_limits(results), *_latency(results), *_others(results)]


def _against(results: Results, name: str) -> Spread | None:
    return ratios(results.rates(SIXTY_FOUR, GATEWAY), results.rates(SIXTY_FOUR, name))


def _throughput(results: Results) -> list[Requirement]:
    return [
        Requirement("64 connections: times Starlette + httpx, nothing stored", 12, _against(results, BASELINE)),
        Requirement("64 connections: times the same with an ORM row", 40, _against(results, ORM)),
        Requirement("64 connections: times Kannel with its spool store", 2, _against(results, KANNEL_SPOOL)),
        Requirement("64 connections: times Kannel, nothing stored", 1.3, _against(results, KANNEL)),
        Requirement("64 connections: part of our own ceiling", 0.6, _against(results, CEILING)),
    ]


def _limits(results: Results) -> list[Requirement]:
    too_many = results.of(LIMITED, GATEWAY, lambda turn: turn.too_many)
    best = _best(results, (BASELINE, AIOHTTP, NGINX_LUA))
    return [
        Requirement(
            "100 calls a second: messages a second", 3000, _spread(results.rates(LIMITED, GATEWAY)), form=".0f"
        ),
        Requirement("100 calls a second: calls refused with 429", 0, _spread(too_many), is_limit=True, form=".0f"),
        Requirement(
            "50 ms, 256 connections: part of the best relay with a call a message",
            0.9,
            ratios(results.rates(DELAYED, GATEWAY), best),
        ),
    ]


def _best(results: Results, names: Sequence[str]) -> list[float]:
    """The most of those that were there, by round."""
    rates = [rates for name in names if (rates := results.rates(DELAYED, name))]
    return [max(each) for each in zip(*rates, strict=True)]


def _latency(results: Results) -> list[Requirement]:
    """In milliseconds, at one connection: what is above the bare proxy and one disk flush."""
    own, bare = (results.of(ONE, name, lambda turn: turn.load.p50) for name in (GATEWAY, NGINX_BARE))
    above = [(a - b - flush) * 1000 for a, b, flush in zip(own, bare, results.others[FLUSH], strict=False)]
    text = "idle: milliseconds above the bare proxy and a disk flush (median latency)"
    return [Requirement(text, 2, _spread(above), is_limit=True)]


def _others(results: Results) -> list[Requirement]:
    others = results.others
    full, empty = (results.rates(special.IN_TURNS, name) for name in (special.FULL, special.EMPTY))
    memory = [peak / _MIB for peak in results.of(MOST, GATEWAY, lambda turn: turn.peak_memory)]
    return [
        Requirement("5 million stored messages: part of the throughput with none", 0.9, ratios(full, empty)),
        Requirement("callbacks alone, one core: a second", 1000, _spread(others[special.BACKLOG]), form=".0f"),
        Requirement("256 connections: peak memory in MiB", 150, _spread(memory), is_limit=True, form=".0f"),
        Requirement("start to first answer on a new database, s", 1.5, _spread(others[special.START_FRESH]), True),
    ]


def _spread(figures: Sequence[float]) -> Spread | None:
    return Spread.of(figures) if figures else None
