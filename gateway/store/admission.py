"""Taking in a submission under its account's terms, in one transaction: rate, repeats, pictures, messages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Executable, bindparam, delete, insert, select, update

from gateway.core.messages import Message, State
from gateway.mapping.schema import RateSection
from gateway.store.tables import media, messages, rates, repeats
from gateway.store.writer import Rows

#: Numbers asked for in one statement: below every database's limit of bound values.
_CHUNK = 500
_SECOND = 1_000_000
#: A message in one of these states is over and was not sent: sending it again is no repeat.
_UNSENT = [State.REFUSED.value, State.WITHDRAWN.value, State.EXPIRED.value]
_EXTEND = (
    update(media)
    .where(media.c.id == bindparam("_id"), media.c.account == bindparam("_account"))
    .where(media.c.needed_until < bindparam("_until"))
    .values(needed_until=bindparam("_until"))
)


@dataclass(frozen=True, slots=True)
class Terms:
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
    insert: Executable
    terms: Terms

    def __call__(self, connection: Connection) -> list[str] | None:
        """Take it in, on the transaction's connection.

        Returns for each message the id of the message that it is: its own, or that of the one it repeats. ``None``
        when the account is over its rate; nothing is written then.
        """
        known = self._repeated(connection) if self.terms.repeats else {}
        ids, fresh = [], []
        for message, row in zip(self.submission, self.rows, strict=True):
            ids.append(known.setdefault(message.digits, message.id) if self._told_apart else message.id)
            if ids[-1] == message.id:
                fresh.append((message, row))
        if not self._within_rate(connection, len(fresh)):
            return None
        if fresh:
            connection.execute(self.insert, [row for _, row in fresh])
            self._remember(connection, [message for message, _ in fresh])
        return ids

    @property
    def _first(self) -> Message:
        return self.submission[0]

    @property
    def _told_apart(self) -> bool:
        """Whether repeats can be told at all: without a reference every message is a new one."""
        return bool(self.terms.repeats and self._first.reference)

    def _repeated(self, connection: Connection) -> dict[str, str]:
        """Digits to the id of the message that was sent to them under this reference lately."""
        if not self._told_apart:
            return {}
        found = {}
        for digits in _chunks(sorted({message.digits for message in self.submission})):
            query = (
                select(repeats.c.digits, repeats.c.message)
                .join(messages, messages.c.id == repeats.c.message)
                .where(repeats.c.account == self._first.account, repeats.c.reference == self._first.reference)
                .where(repeats.c.digits.in_(digits), repeats.c.until > self._first.accepted_at)
                .where(messages.c.state.not_in(_UNSENT))
            )
            found.update({row.digits: row.message for row in connection.execute(query)})
        return found

    def _within_rate(self, connection: Connection, count: int) -> bool:
        """Take so many from the account's allowance.

        Whoever is within the rate may send, however much at once; the next request then waits until that is worked off.
        """
        rate, account = self.terms.rate, self._first.account
        if rate is None or not count:
            return True
        now = self._first.accepted_at * 1000
        free_at = connection.scalar(select(rates.c.free_at).where(rates.c.account == account))
        if free_at is not None and free_at - now > (rate.burst - 1) / rate.per_second * _SECOND:
            return False
        then = max(free_at or 0, now) + int(count / rate.per_second * _SECOND)
        if free_at is None:
            connection.execute(insert(rates).values(account=account, free_at=then))
        else:
            connection.execute(update(rates).where(rates.c.account == account).values(free_at=then))
        return True

    def _remember(self, connection: Connection, fresh: Sequence[Message]) -> None:
        if self._told_apart:
            self._remember_repeats(connection, fresh)
        until = max(message.expires_at for message in fresh)
        if self.terms.pictures:
            shown = [{"_id": each, "_account": self._first.account, "_until": until} for each in self.terms.pictures]
            connection.execute(_EXTEND, shown)

    def _remember_repeats(self, connection: Connection, fresh: Sequence[Message]) -> None:
        of_this = (repeats.c.account == self._first.account, repeats.c.reference == self._first.reference)
        for digits in _chunks([message.digits for message in fresh]):
            connection.execute(delete(repeats).where(*of_this, repeats.c.digits.in_(digits)))
        until = self._first.accepted_at + (self.terms.repeats or 0) * 1000
        connection.execute(
            insert(repeats),
            [
                {
                    "account": message.account,
                    "reference": message.reference,
                    "digits": message.digits,
                    "message": message.id,
                    "until": until,
                }
                for message in fresh
            ],
        )


def _chunks(values: Sequence[str]) -> Iterator[list[str]]:
    remaining = iter(values)
    while chunk := list(itertools.islice(remaining, _CHUNK)):
        yield chunk
