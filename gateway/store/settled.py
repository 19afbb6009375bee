"""The end of a message's way to SMSBAT, and how it is written down."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Row, Text, Update, bindparam, case, func, literal_column, or_, update

from gateway.core.lifecycle import FINAL, Status
from gateway.core.messages import (
    ACCEPTED,
    CREDENTIAL_OUTCOMES,
    Concern,
    Content,
    Message,
    Outcome,
    Receipt,
    State,
)
from gateway.store.bulk import TOGETHER
from gateway.store.contents import written
from gateway.store.tables import messages

_SETTLED_COLUMNS = ("state", "outcome", "concern", "detail", "upstream_id", "parts", "settled_at", "watch_until")


def _word(value: str) -> ColumnElement[str]:
    """A word of ours as part of a statement: a parameter would be bound again for each row of a statement for many."""
    return literal_column(f"'{value}'", Text)


_IS_FINAL = or_(*(messages.c.status == _word(status) for status in sorted(FINAL)))
#: A partial index serves only a query whose condition the database can see.
IS_UNSETTLED = messages.c.state == _word(State.ACCEPTED)
#: A report may have been quicker than the receipt: then there is nothing more to ask.
_CHECK_AT = case((_IS_FINAL, None), else_=bindparam("_check_at", type_=BigInteger))
#: Only a message that is still to be submitted can be settled: whoever settles it first, wins.
_SETTLE = (
    update(messages)
    .where(messages.c.id == bindparam("_id"), IS_UNSETTLED)
    .values(
        {
            **{name: bindparam(name) for name in _SETTLED_COLUMNS},
            "check_at": _CHECK_AT,
            # What never goes out has come to its end; of the others, reports tell.
            "final_at": func.coalesce(messages.c.final_at, bindparam("_final_at", type_=BigInteger)),
        }
    )
)

#: The same of messages that a code is struck out of.
_SETTLE_STRUCK_OUT = _SETTLE.values(content=bindparam("_content", type_=Text))

#: The end of messages that SMSBAT took without another word: nearly all are such.
_TAKE = (
    update(messages)
    .where(messages.c.id == bindparam("_id"), IS_UNSETTLED)
    .values(
        state=_word(State.SUBMITTED),
        outcome=_word(Outcome.ACCEPTED),
        check_at=_CHECK_AT,
        **{name: bindparam(name) for name in ("upstream_id", "parts", "settled_at", "watch_until")},
    )
    # Of a message that two calls came back with, both say that SMSBAT has it.
    .execution_options(**{TOGETHER: True})
)

_FAILURES = {State.REFUSED: Status.REJECTED, State.EXPIRED: Status.EXPIRED}
#: The states of what SMSBAT has, or may have.
WENT_OUT = frozenset({State.SUBMITTED, State.UNPAIRED})
_SUBMITTED, _REFUSED = State.SUBMITTED, State.REFUSED
_STATE_AFTER = {Outcome.ACCEPTED: State.SUBMITTED, Outcome.UNKNOWN: State.UNPAIRED}


class Settled(NamedTuple):
    """The end of a message's way to SMSBAT: its state, and the receipt when there was one.

    ``check_at`` is when SMSBAT is asked what became of it, ``None`` for never, and ``watch_until`` for how long.
    ``content`` is what is kept of it from now on, when that is not all.
    """

    id: str
    state: State
    receipt: Receipt | None = None
    check_at: int | None = None
    watch_until: int | None = None
    content: Content | None = None

    @property
    def went_out(self) -> bool:
        """Whether SMSBAT has it, or may have."""
        return self.state in WENT_OUT

    @property
    def is_only_taken(self) -> bool:
        """Whether there is nothing to write but that SMSBAT took it, what it calls it, and when it is asked."""
        if self.receipt is None or self.content is not None:
            return False
        return self.state is _SUBMITTED and self.receipt.detail is None

    @property
    def for_the_credential(self) -> bool:
        """Whether it is refused for the gateway's own SMSBAT login, not for what it is."""
        return self.receipt is not None and self.receipt.outcome in CREDENTIAL_OUTCOMES

    @property
    def verdict(self) -> Receipt:
        """What a waiting client is told; a message without a receipt ran out of time."""
        return self.receipt or Receipt(Outcome.TEMPORARY)

    @classmethod
    def by(
        cls, message: Message, receipt: Receipt, check_at: int | None = None, watch_until: int | None = None
    ) -> Settled:
        """Settled by what SMSBAT said of it; one that it did not take is never asked about."""
        state = _STATE_AFTER.get(receipt.outcome, _REFUSED)
        check_at = check_at if state is not _REFUSED else None
        return cls._make((message.id, state, receipt, check_at, watch_until, _kept_of(message)))

    @classmethod
    def without(cls, message: Message, state: State, last_check: int | None = None) -> Settled:
        """Settled without a receipt; SMSBAT is asked once, at the end, if at all."""
        return cls(message.id, state, None, last_check, last_check, _kept_of(message))

    @property
    def failure(self) -> Status | None:
        """What its partner is to be told, when it was accepted and then did not go out."""
        return _FAILURES.get(self.state)


def _kept_of(message: Message) -> Content | None:
    return message.content.struck_out if message.content.code else None


def receipt_of(row: Row[Any]) -> Receipt:
    """What the client of a message is told that has ended so."""
    if row.state in WENT_OUT:
        return ACCEPTED
    if row.outcome is None:
        return Receipt(Outcome.TEMPORARY)
    return Receipt(Outcome(row.outcome), concern=Concern(row.concern) if row.concern else None, detail=row.detail)


def statements(settled: Iterable[Settled], now: int) -> Collection[tuple[Update, list[dict[str, Any]]]]:
    """What writes ends down, and the rows of each statement, at ``now`` (milliseconds)."""
    rows: dict[Update, list[dict[str, Any]]] = {}
    for each in settled:
        if each.is_only_taken:
            rows.setdefault(_TAKE, []).append(_taken_row(each, now))
        else:
            # Without a code to strike out, a content is not written again.
            statement = _SETTLE_STRUCK_OUT if each.content else _SETTLE
            rows.setdefault(statement, []).append(_settled_row(each, now))
    return rows.items()


def _taken_row(settled: Settled, now: int) -> dict[str, Any]:
    message_id, _, receipt, check_at, watch_until, _ = settled
    assert receipt is not None
    _, upstream_id, parts, _, _ = receipt
    return {
        "_id": message_id,
        "upstream_id": upstream_id,
        "parts": parts,
        "settled_at": now,
        "_check_at": check_at,
        "watch_until": watch_until,
    }


def _settled_row(settled: Settled, now: int) -> dict[str, Any]:
    receipt = settled.receipt
    row = {
        "_id": settled.id,
        "state": settled.state.value,
        "outcome": receipt.outcome.value if receipt else None,
        "concern": receipt.concern.value if receipt and receipt.concern else None,
        "detail": receipt.detail if receipt else None,
        "upstream_id": receipt.upstream_id if receipt else None,
        "parts": receipt.parts if receipt else None,
        "_check_at": settled.check_at,
        "_final_at": None if settled.went_out else now,
        "watch_until": settled.watch_until,
        "settled_at": now,
    }
    if settled.content:
        row["_content"] = written(settled.content)
    return row
