"""Where a gateway is killed."""

from __future__ import annotations

from enum import StrEnum

from gateway.points import Point


class Outside(StrEnum):
    """What only the other side knows for sure: it has the whole request, and has not answered yet."""

    CALL_UNANSWERED = "call written, answer unread"
    CALLBACK_UNANSWERED = "callback written, answer unread"


Place = Point | Outside
PLACES: tuple[Place, ...] = (*Point, *Outside)

#: Passed seldom: the first time is taken.
SELDOM: frozenset[Place] = frozenset(
    {
        Point.STATUS_READ,
        Point.MAILING_DUE,
        Point.MAILING_RELEASED,
        Point.BULK_OWED,
        Point.LEFT_FOUND,
        Point.LEFT_TAKEN_OVER,
        Point.DELAYED_DUE,
        Point.READ_BACK,
    }
)


def place_named(words: str) -> Place:
    """The place of these words. Raises ``ValueError``."""
    return Point(words) if words in list(Point) else Outside(words)
