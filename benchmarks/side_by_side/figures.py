"""Everything that was measured, by round, and what is made of it: medians, spreads, ratios of the same round."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.side_by_side.points import Point, Turn


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several figures, the least and the greatest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """Of at least one figure."""
        return cls(statistics.median(figures), min(figures), max(figures))

    def written(self, form: str = ".0f", unit: float = 1.0) -> str:
        """``median (least..most)`` in a unit of the table's."""
        median, least, most = (format(each / unit, form) for each in (self.median, self.least, self.most))
        return f"{median} ({least}..{most})"


def ratios(figures: Sequence[float], others: Sequence[float]) -> Spread | None:
    """Each round's figure by the other's of the same round; ``None`` when there are none."""
    pairs = [one / other for one, other in zip(figures, others, strict=False) if other]
    return Spread.of(pairs) if pairs else None


@dataclass(slots=True)
class Results:
    """Turns by point and contender's name, other figures by their names, commands by what they are for."""

    turns: defaultdict[tuple[Point, str], list[Turn]] = field(default_factory=lambda: defaultdict(list))
    others: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    commands: dict[str, list[str]] = field(default_factory=dict)

    def of(self, point: Point, name: str, figure: Callable[[Turn], float]) -> list[float]:
        """One figure of a contender's turns, by round."""
        return [figure(turn) for turn in self.turns.get((point, name), [])]

    def rates(self, point: Point, name: str) -> list[float]:
        """Messages a second, by round."""
        return self.of(point, name, lambda turn: turn.rate)
