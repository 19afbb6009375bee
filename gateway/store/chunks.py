"""Many values, a few at a time: below every database's limit of bound values, and so that others may write between."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

Each = TypeVar("Each")
#: Values in one statement.
BOUND = 500


def chunks(values: Iterable[Each], size: int = BOUND) -> Iterator[list[Each]]:
    """The values in lists of at most ``size``."""
    remaining = iter(values)
    while some := list(itertools.islice(remaining, size)):
        yield some
