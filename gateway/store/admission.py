"""Taking in a submission under its account's terms, in one transaction: rate, repeats, pictures, messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, or_, select, update

from gateway.core.messages import Message, State
from gateway.mapping.schema.accounts import RateSection
from gateway.store.bulk import Rows, Statement, write_rows
from gateway.store.chunks import chunks
from gateway.store.locks import one_at_a_time
from gateway.store.media import extend_picture
from gateway.store.tables import messages, rates, repeats

#: A message in one of these states is over and was not sent: sending it again is no repeat.
UNSENT = [State.REFUSED.value, State.WITHDRAWN.value, State.EXPIRED.value]


class Terms(NamedTuple):
    """What a submission is admitted under.

    ``repeats`` is the window in seconds in which the same reference and phone are the same message; ``pictures`` are
    the ids of those shown, which must last as long as the messages.
    """

    rate: RateSection | None = None
    repeats: int | None = None
    pictures: Sequence[str] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to look at besides the messages themselves."""
        return bool(self.rate or self.repeats or self.pictures)


NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Admission:
    """One submission being taken in."""

    submission: Sequence[Message]
    rows: Rows
    insert: Statement
    terms: Terms
    planned: Rows = ()

    def __call__(self, connection: Connection) -> list[str] | None:
        """Take it in, on the transaction's connection.

        Returns for each message the id of the message that it is: its own, or that of the one it repeats. ``None``
        when the account is over its rate; nothing is written then.
        """
        keys = self._keys() if self._told_apart else []
        if self.terms.rate:
            one_at_a_time(connection, f"{self._first.account}:")
        if keys:
            one_at_a_time(connection, f"{self._first.account}:{self._first.reference}")
        known = self._repeated(connection, keys) if keys else {}
        own = [message.id for message in self.submission]
        ids = [known.get(key, each) for key, each in zip(keys, own, strict=True)] if keys else own
        fresh = [i for i, each in enumerate(ids) if each == own[i]]
        if not self._within_rate(connection, len(fresh)):
            return None
        if fresh:
            write_rows(connection, self.insert, [*[self.rows[i] for i in fresh], *self._planned_after(fresh)])
            self._remember_repeats(connection, {keys[i]: own[i] for i in fresh} if keys else {})
            self._keep_pictures(connection)
        return ids

    def _planned_after(self, fresh: Sequence[int]) -> Rows:
        """What follows those that are new; a repeat has what follows it already."""
        firsts = {self.submission[i].id for i in fresh}
        return [row for row in self.planned if row["follows"] in firsts]

    def _keys(self) -> list[str]:
        """What repeats are told by: channel and number, and which of several to that number in this request."""
        seen: Counter[str] = Counter()
        keys = []
        for message in self.submission:
            number = f"{message.channel}:{message.digits}"
            keys.append(f"{number}:{seen[number]}")
            seen[number] += 1
        return keys

    @property
    def _first(self) -> Message:
        return self.submission[0]

    @property
    def _told_apart(self) -> bool:
        """Whether repeats can be told at all: without a reference every message is a new one."""
        return bool(self.terms.repeats and self._first.reference)

    def _repeated(self, connection: Connection, keys: Sequence[str]) -> dict[str, str]:
        """Keys to the ids of the messages that went out under this reference lately.

        Their rows may have gone for their age since; with those of unsent ones goes what is looked up here.
        """
        found = {}
        for chunk in chunks(keys):
            query = (
                select(repeats.c.key, repeats.c.message)
                .outerjoin(messages, messages.c.id == repeats.c.message)
                .where(repeats.c.account == self._first.account, repeats.c.reference == self._first.reference)
                .where(repeats.c.key.in_(chunk), repeats.c.until > self._first.accepted_at)
                .where(or_(messages.c.state.is_(None), messages.c.state.not_in(UNSENT)))
            )
            found.update({row.key: row.message for row in connection.execute(query)})
        return found

    def _within_rate(self, connection: Connection, count: int) -> bool:
        """Take so many from the account's allowance.

        Whoever is within the rate may send, however much at once; the next request then waits until that is worked off.
        A clock that was set back makes nothing worse: what is owed is kept as a number of messages, not as a moment.
        """
        rate, account, now = self.terms.rate, self._first.account, self._first.accepted_at
        if rate is None or not count:
            return True
        level = _level(connection, account, rate, now)
        if level > rate.burst - 1:
            return False
        _set_level(connection, account, level + count, now)
        return True

    def _keep_pictures(self, connection: Connection) -> None:
        """What these messages show must last as long as they do."""
        until = max(message.expires_at for message in self.submission)
        for picture in self.terms.pictures:
            extend_picture(connection, picture, self._first.account, until)

    def _remember_repeats(self, connection: Connection, fresh: Mapping[str, str]) -> None:
        of_this = (repeats.c.account == self._first.account, repeats.c.reference == self._first.reference)
        for chunk in chunks([*fresh]):
            connection.execute(delete(repeats).where(*of_this, repeats.c.key.in_(chunk)))
        common = {"account": self._first.account, "reference": self._first.reference}
        until = self._first.accepted_at + (self.terms.repeats or 0) * 1000
        rows = [{**common, "key": key, "message": each, "until": until} for key, each in fresh.items()]
        if rows:
            connection.execute(insert(repeats), rows)


def room_at_rate(connection: Connection, account: str, rate: RateSection, now: int, most: int) -> int:
    """How many messages of a mailing may go out now, ``most`` at once; ``take_from_rate`` counts those that do."""
    one_at_a_time(connection, f"{account}:")
    return max(0, min(most, int(rate.burst - _level(connection, account, rate, now))))


def take_from_rate(connection: Connection, account: str, rate: RateSection, now: int, count: int) -> None:
    """Take messages of a mailing from their account's allowance."""
    _set_level(connection, account, _level(connection, account, rate, now) + count, now)


def _level(connection: Connection, account: str, rate: RateSection, now: int) -> float:
    """How many messages are still to be worked off at an account's rate."""
    row = connection.execute(select(rates).where(rates.c.account == account).with_for_update()).first()
    passed = max(0, now - row.at) / 1000 if row else 0.0
    return max(0.0, row.level - passed * rate.per_second) if row else 0.0


def _set_level(connection: Connection, account: str, level: float, now: int) -> None:
    values = {"level": level, "at": now}
    if connection.execute(update(rates).where(rates.c.account == account).values(**values)).rowcount == 0:
        connection.execute(insert(rates).values(account=account, **values))
