"""What becomes of messages, written down: reports and replies, and the callbacks that follow, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, FromClause, Row, bindparam, delete, func, insert, literal, or_, select, update

from gateway.core.lifecycle import FAILED, FINAL, INTERIM, Reply, Report, Status, steps
from gateway.core.messages import Concern, State
from gateway.mapping.callbacks import CallbackTarget
from gateway.mapping.telling import of_reply, of_status
from gateway.store.callbacks import Script, callback_row, insert_callbacks
from gateway.store.database import Database
from gateway.store.numbers import take_numbers
from gateway.store.settled import WENT_OUT
from gateway.store.tables import early_reports, messages, replies

#: A report can be ahead of its receipt by so many milliseconds; after that its message is none of ours.
EARLY_FOR = 24 * 3_600_000
_LIMIT = 400
_REASONS = {Concern.RECIPIENT.value: "recipient", Concern.SENDER.value: "sender"}
_ADVANCE = (
    update(messages)
    .where(messages.c.id == bindparam("_id"))
    .values(**{name: bindparam(name) for name in ("status", "status_at", "reason", "leg", "check_at", "final_at")})
)
_CHECKED = (
    update(messages)
    .where(messages.c.id == bindparam("_id"), messages.c.check_at.is_not(None))
    .values(check_at=bindparam("_check_at"))
)

Targets = Mapping[tuple[str, str], CallbackTarget]


@dataclass(slots=True)
class Applied:
    """What followed: the scripts that are owed something new, and how many reports wait for their receipts.

    ``caught_up``: some of those wait no longer.
    """

    owed: set[Script] = field(default_factory=set)
    early: int = 0
    caught_up: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A message to ask SMSBAT about. ``upstream_id`` is ``None`` when SMSBAT never said how it calls it."""

    id: str
    upstream_id: str | None
    sent_at: int
    watch_until: int | None
    expires_at: int


def check_columns(table: FromClause) -> list[Any]:
    """What a check is made of, of the table of messages or an alias of it."""
    names = ("id", "upstream_id", "settled_at", "watch_until", "expires_at")
    return [table.c[name] for name in names]


def check_of(row: Row[Any]) -> Check:
    """A message to ask about."""
    return Check(row.id, row.upstream_id, row.settled_at, row.watch_until, row.expires_at)


class ReportStore:
    """Statuses, replies and what they owe. Every method raises ``StoreUnavailable``."""

    def __init__(self, database: Database, targets: Targets) -> None:
        self._database = database
        self._targets = targets

    async def apply(self, reports: Sequence[Report], smsbat: str, account: str | None = None) -> Applied:
        """Move messages on, of an SMSBAT login, or of the account that was told: it may have had another login before.

        A report whose message is not known yet is kept for later.
        """
        return await self._database.writer.run(lambda connection: self._apply(connection, reports, smsbat, account))

    def apply_in(self, connection: Connection, reports: Sequence[Report]) -> Applied:
        """The same in a transaction of the writer that somebody else has begun, for messages that are known by id."""
        return self._apply(connection, reports, None, None)

    async def apply_early(self, now: int) -> Applied:
        """Apply the reports that came before receipts which are stored by now; ``early`` is how many still wait."""
        ready, waiting = await self._database.read(self._early, now)
        if not ready:
            return Applied(early=waiting)
        applied = await self._database.writer.run(lambda connection: self._apply_early(connection, ready))
        return Applied(applied.owed, waiting, caught_up=True)

    async def reply(self, reply: Reply, smsbat: str, account: str) -> Applied:
        """Write down what a subscriber wrote, once, tied to the message that it answers if there is one."""
        return await self._database.writer.run(lambda connection: self._reply(connection, reply, smsbat, account))

    async def checks(self, smsbat: str, now: int, limit: int, without: Collection[str]) -> list[Check]:
        """Messages that SMSBAT is to be asked about, the longest due first."""
        return await self._database.read(self._checks, smsbat, now, limit, without)

    async def checked(self, check: Check, next_check: int) -> None:
        """Nothing final is known yet; ask again then."""
        await self._database.writer.write(_CHECKED, [{"_id": check.id, "_check_at": next_check}])

    async def replies(self, unmatched: bool, limit: int) -> list[Row[Any]]:
        """The newest replies; only those without a message, when asked."""
        return await self._database.read(self._replies, unmatched, limit)

    # In the writer's thread

    def _apply(
        self, connection: Connection, reports: Sequence[Report], smsbat: str | None, account: str | None
    ) -> Applied:
        applied = Applied()
        for report in reports:
            row = self._message_of(connection, report, smsbat, account)
            if row is not None:
                applied.owed |= self._advance(connection, row, report)
            elif smsbat is not None:
                told = {"smsbat": smsbat, "upstream_id": report.upstream_id or "", "at": report.at}
                connection.execute(insert(early_reports).values(**told, report=orjson.dumps(asdict(report)).decode()))
                applied.early += 1
        return applied

    @staticmethod
    def _message_of(connection: Connection, report: Report, smsbat: str | None, account: str | None) -> Row[Any] | None:
        """The message that a report is of; by SMSBAT's id only once the receipt is stored."""
        named = [messages.c.id == report.id] if report.id else []
        if report.upstream_id:
            named.append((messages.c.upstream_id == report.upstream_id) & messages.c.upstream_id.is_not(None))
        query = select(messages).where(or_(*named))
        if smsbat is not None:
            query = query.where(or_(messages.c.smsbat == smsbat, messages.c.account == account))
        # Another node may be told the same at this moment.
        return connection.execute(query.limit(1).with_for_update()).first()

    def _advance(self, connection: Connection, row: Row[Any], report: Report) -> set[Script]:
        """Move one message on, and owe what follows; returns the script that is owed it."""
        current = Status(row.status) if row.status else None
        taken = steps(current, report.status)
        if not taken:
            if current in FINAL and row.check_at is not None:
                connection.execute(update(messages).where(messages.c.id == row.id).values(check_at=None))
            return set()
        never_left = taken[-1] in FAILED and row.state not in WENT_OUT
        leg = "" if never_left else report.channel or row.channel
        reason = report.reason or self._reason(row, report)
        told = {"status": taken[-1].value, "status_at": report.at, "reason": reason, "leg": leg}
        check_at = None if taken[-1] in FINAL else row.check_at
        final_at = row.final_at or (report.at if taken[-1] in FINAL else None)
        connection.execute(_ADVANCE, [{"_id": row.id, "check_at": check_at, "final_at": final_at, **told}])
        return self._owe(connection, row, current, taken, (reason, leg, report.at))

    @staticmethod
    def _reason(row: Row[Any], report: Report) -> str | None:
        """Why it failed, as far as the gateway knows: SMSBAT itself seldom says."""
        if report.status is Status.REJECTED:
            return _REASONS.get(row.concern)
        late = report.status is Status.UNDELIVERED and report.at >= row.expires_at
        return "expired" if late or report.status is Status.EXPIRED else None

    def _owe(
        self,
        connection: Connection,
        row: Row[Any],
        current: Status | None,
        taken: Sequence[Status],
        known: tuple[str | None, str, int],
    ) -> set[Script]:
        target = self._targets.get((row.account, row.dialect))
        if target is None or not row.report:
            return set()
        reason, leg, now = known
        facts = [
            of_status(row.id, row.reference, status, reason, (row.channel, leg))
            for status in taken
            if status not in INTERIM or (target.interim and not _said_alike(target, current, status))
        ]
        rows = [callback_row(each, row.account, row.dialect, now) for each in facts if target.format.body(each)]
        insert_callbacks(connection, rows)
        return {Script(row.account, row.dialect)} if rows else set()

    def _apply_early(self, connection: Connection, ready: Sequence[int]) -> Applied:
        applied = Applied()
        rows = connection.execute(
            select(early_reports).where(early_reports.c.id.in_(ready)).order_by(early_reports.c.id)
        )
        for row in rows.all():
            report = Report(**_report_fields(orjson.loads(row.report)))
            message = self._message_of(connection, report, row.smsbat, None)
            if message is not None:
                applied.owed |= self._advance(connection, message, report)
        connection.execute(delete(early_reports).where(early_reports.c.id.in_(ready)))
        return applied

    def _reply(self, connection: Connection, reply: Reply, smsbat: str, account: str) -> Applied:
        known = select(replies.c.id).where(replies.c.smsbat == smsbat, replies.c.id == reply.id)
        if connection.execute(known).first() is not None:
            return Applied()
        row = self._answered(connection, reply, smsbat, account)
        owner = row.account if row else account
        batch = (row.batch or row.number) if row else None
        connection.execute(
            insert(replies).values(
                smsbat=smsbat,
                id=reply.id,
                batch=batch,
                number=None if batch is None else take_numbers(connection, owner, 1),
                account=owner,
                sender=reply.sender or (row.sender if row else ""),
                digits=reply.digits or (row.digits if row else ""),
                text=reply.text,
                media=reply.media,
                message=row.id if row else None,
                at=reply.at,
            )
        )
        target = self._targets.get((row.account, row.dialect)) if row else None
        if row is None or target is None:
            return Applied()
        facts = of_reply(row.id, row.reference, reply)
        if target.format.body(facts) is None:
            return Applied()
        insert_callbacks(connection, [callback_row(facts, row.account, row.dialect, reply.at)])
        return Applied({Script(row.account, row.dialect)})

    def _answered(self, connection: Connection, reply: Reply, smsbat: str, account: str) -> Row[Any] | None:
        """The message that SMSBAT names, or the newest one from that sender to that number.

        One of the account that SMSBAT told it to, if there is one; its receipt may still be on its way. A sender that
        is no name of ours but an id of SMSBAT's (seed 000: ``"sender_bm_id": "12345"``) is one of that account's.
        """
        if reply.message:
            named = Report(Status.SEEN, 0, reply.message, reply.message)
            return self._message_of(connection, named, smsbat, account)
        to_it = (
            select(messages)
            .where(
                messages.c.digits == reply.digits,
                messages.c.channel == literal("viber", literal_execute=True),
                messages.c.state.in_([each.value for each in (*WENT_OUT, State.ACCEPTED)]),
                messages.c.due_at <= reply.at,
            )
            .order_by(messages.c.id.desc())
            .limit(1)
        )
        from_it, own = messages.c.sender == reply.sender, messages.c.account == account
        for conditions in ((from_it, own), (from_it, messages.c.smsbat == smsbat), *([(own,)] if reply.by_id else [])):
            row = connection.execute(to_it.where(*conditions)).first()
            if row is not None:
                return row
        return None

    # Beside the writer

    def _checks(self, smsbat: str, now: int, limit: int, without: Collection[str]) -> list[Check]:
        query = (
            select(*check_columns(messages))
            .where(messages.c.smsbat == smsbat, messages.c.check_at.is_not(None), messages.c.check_at <= now)
            .where(messages.c.id.not_in(without))
            .order_by(messages.c.check_at)
            .limit(limit)
        )
        with self._database.engine.connect() as connection:
            return [check_of(row) for row in connection.execute(query)]

    def _early(self, now: int) -> tuple[list[int], int]:
        """Reports whose message is known by now, or never will be; and how many others there are."""
        known = (messages.c.upstream_id == early_reports.c.upstream_id) & (messages.c.smsbat == early_reports.c.smsbat)
        known &= messages.c.upstream_id.is_not(None)
        ready = select(early_reports.c.id).join(messages, known)
        stale = select(early_reports.c.id).where(early_reports.c.at < now - EARLY_FOR)
        with self._database.engine.connect() as connection:
            ids = [*connection.scalars(ready.limit(_LIMIT)), *connection.scalars(stale.limit(_LIMIT))]
            count = connection.scalar(select(func.count()).select_from(early_reports)) or 0
        return list(dict.fromkeys(ids)), max(0, count - len(set(ids)))

    def _replies(self, unmatched: bool, limit: int) -> list[Row[Any]]:
        query = select(replies).order_by(replies.c.at.desc()).limit(limit)
        if unmatched:
            query = query.where(replies.c.message.is_(None))
        with self._database.engine.connect() as connection:
            return list(connection.execute(query).all())


def _said_alike(target: CallbackTarget, current: Status | None, status: Status) -> bool:
    """Whether the partner was told the same words already: many dialects have one for all that is on its way."""
    statuses = target.format.statuses
    return current in INTERIM and statuses.get(current) == statuses.get(status)


def _report_fields(stored: dict[str, Any]) -> dict[str, Any]:
    return {**stored, "status": Status(stored["status"])}
