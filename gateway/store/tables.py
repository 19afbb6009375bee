"""The tables as they are now. Every change to them is a migration under ``migrations/versions``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    text,
)

from gateway.core.messages import State

metadata = MetaData()

#: Of rows that are written without end, in more than 32 bits; SQLite counts up only what it knows as its own row id.
_serial = BigInteger().with_variant(Integer, "sqlite")


def _partial_index(name: str, condition: str, *columns: Column[Any], unique: bool = False) -> Index:
    """An index of the rows that a condition holds for: small however many there are."""
    where = text(condition)
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


#: One row a message. Times are milliseconds since the epoch. ``content`` is the neutral content as JSON, so that a new
#: kind of content needs no new column; what is searched by has one. Other tables refer to ``id``.
#: ``submission`` is the id that its first message was made with, which is no row where that one repeats an older one.
messages = Table(
    "messages",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("submission", String(36), nullable=False),
    Column("position", Integer, nullable=False),
    Column("account", Text, nullable=False),
    Column("smsbat", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("digits", Text, nullable=False),
    Column("reference", Text),
    Column("report", Boolean, nullable=False),
    Column("content", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text),
    Column("concern", Text),
    Column("detail", Text),
    Column("upstream_id", Text),
    Column("parts", Integer),
    Column("accepted_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    # What became of it since: the lifecycle's word, when the gateway learnt of it, why it failed, which channel did it.
    Column("status", Text),
    Column("status_at", BigInteger),
    Column("reason", Text),
    Column("leg", Text),
    # When SMSBAT is asked next what became of it; null when there is nothing to ask.
    Column("check_at", BigInteger),
    # When it stops asking, the SMS behind it included.
    Column("watch_until", BigInteger),
    # For dialects with integer ids: its own, and that of the mailing or text that it belongs to.
    Column("number", Integer),
    Column("batch", Integer),
    # The message that it is sent instead of, if that is not delivered.
    Column("follows", String(36)),
    # When its end was known, and when a client was first told that it is still on its way although it was.
    Column("final_at", BigInteger),
    Column("asked_at", BigInteger),
    # The node that sends it; nobody's are anybody's.
    Column("node", String(36)),
)

#: Gateway processes that share this database. One that did not say for a while that it is there counts as dead.
nodes = Table(
    "nodes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("host", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

#: Work that only one node does at a time.
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("node", String(36), nullable=False),
)

#: Uploaded pictures; their bytes are in the picture storage. ``needed_until`` is when the last message that shows one
#: ends, or when it was uploaded: what retention counts from.
media = Table(
    "media",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("account", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("needed_until", BigInteger, nullable=False, index=True),
)

#: How fast an account sends: how many messages are still to be worked off at its rate, as of a moment.
rates = Table(
    "rates",
    metadata,
    Column("account", Text, primary_key=True),
    Column("level", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
)

#: Messages that a request with the same reference would repeat, for accounts that want that told. ``key`` is channel
#: and number, and which of several messages to that number in one request.
repeats = Table(
    "repeats",
    metadata,
    Column("account", Text, primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("message", String(36), nullable=False),
    Column("until", BigInteger, nullable=False, index=True),
)

#: Reports of messages whose receipt is not stored yet.
early_reports = Table(
    "early_reports",
    metadata,
    Column("id", _serial, primary_key=True),
    Column("smsbat", Text, nullable=False),
    Column("upstream_id", Text, nullable=False),
    Column("report", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

#: What subscribers wrote, each once; ``message`` is the one it was tied to.
replies = Table(
    "replies",
    metadata,
    Column("smsbat", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("digits", Text, nullable=False),
    Column("text", Text),
    Column("media", Text),
    Column("message", String(36)),
    Column("at", BigInteger, nullable=False),
    # For dialects in which replies are asked for: its integer id, that of the message or mailing that it answers, and
    # when it was marked as read.
    Column("number", Integer),
    Column("batch", Integer),
    Column("read_at", BigInteger),
)
replies_of_batch = _partial_index(
    "replies_batch", "batch IS NOT NULL", replies.c.account, replies.c.batch, replies.c.number
)

#: The last integer that each account was given.
numbers = Table(
    "numbers",
    metadata,
    Column("account", Text, primary_key=True),
    Column("last", Integer, nullable=False),
)

#: What is kept for accounts under a number: texts, password objects, lists of subscribers.
records = Table(
    "records",
    metadata,
    Column("account", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
records_of_kind = Index("records_kind", records.c.account, records.c.kind, records.c.number)

#: Subscribers of lists. ``key`` is what they are known again by: the number's digits, or an address.
contacts = Table(
    "contacts",
    metadata,
    Column("account", Text, primary_key=True),
    Column("list", Integer, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digits", Text),
    Column("content", Text, nullable=False),
)

#: One content to many numbers; its messages have its number as their batch.
mailings = Table(
    "mailings",
    metadata,
    Column("account", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("dialect", Text, nullable=False),
    Column("smsbat", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text),
    Column("sender", Text, nullable=False),
    Column("sender_id", Integer),
    Column("content", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("problem", Text),
    Column("count", Integer, nullable=False),
    Column("ttl", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("bulk", String(36)),
    # The uploaded picture that it shows, which must last until it goes out.
    Column("picture", String(64)),
)
_TO_RELEASE = "state = 'confirmed'"
mailings_due = _partial_index("mailings_due", _TO_RELEASE, mailings.c.due_at)
mailings_of_bulk = _partial_index("mailings_bulk", "bulk IS NOT NULL", mailings.c.bulk)


def is_mailing(account: str, number: int) -> ColumnElement[bool]:
    """The condition for the mailing that has this number among an account's."""
    return and_(mailings.c.account == account, mailings.c.number == number)


#: Several mailings of one request; ``url`` is where its end is told, until that is owed.
bulks = Table(
    "bulks",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("account", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("url", Text),
    Column("created_at", BigInteger, nullable=False),
)
bulks_to_tell = _partial_index("bulks_to_tell", "url IS NOT NULL", bulks.c.created_at)

#: Codes that subscribers are to tell: only their hashes, with the salt before the colon.
codes = Table(
    "codes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account", Text, nullable=False),
    Column("digits", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("until", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
)

#: Requests owed to partners. ``facts`` is what is told, as JSON; the mapping files give it its form when it goes out.
callbacks = Table(
    "callbacks",
    metadata,
    Column("id", _serial, primary_key=True),
    Column("message", String(36), nullable=False),
    Column("account", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("event_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("outcome", Text),
    # Where it goes when the request said so, not the account.
    Column("url", Text),
)

_OWED = "state = 'pending'"
callbacks_due = _partial_index("callbacks_due", _OWED, callbacks.c.account, callbacks.c.dialect, callbacks.c.due_at)
#: Callbacks of one message go out one after the other.
callbacks_of_message = _partial_index("callbacks_of_message", _OWED, callbacks.c.message)
#: Without those that are owed: the database would otherwise look for a message's callbacks here.
_ENDED = "state <> 'pending'"
callbacks_ended = _partial_index("callbacks_ended", _ENDED, callbacks.c.state, callbacks.c.id)

#: By SMSBAT's id, which is all that its reports name.
_SENT = "upstream_id IS NOT NULL"
by_upstream_id = _partial_index("messages_upstream", _SENT, messages.c.upstream_id, messages.c.smsbat)
#: By number: what a reply answers.
_VIBER = "channel = 'viber'"
by_number = _partial_index("messages_number", _VIBER, messages.c.digits, messages.c.sender, messages.c.id)
_CHECKED = "check_at IS NOT NULL"
to_check = _partial_index("messages_to_check", _CHECKED, messages.c.smsbat, messages.c.check_at)

#: What is still to be submitted, by credential and age: small however many messages there are.
unsettled = _partial_index("messages_unsettled", f"state = '{State.ACCEPTED}'", messages.c.smsbat, messages.c.id)

by_integer = _partial_index(
    "messages_integer", "number IS NOT NULL", messages.c.account, messages.c.number, unique=True
)
of_batch = _partial_index(
    "messages_batch", "batch IS NOT NULL", messages.c.account, messages.c.batch, messages.c.number
)
#: Messages that wait for others to fail.
_WAITING = "follows IS NOT NULL AND state = 'planned'"
follow_ups = _partial_index("messages_follow_ups", _WAITING, messages.c.due_at)
messages_following = _partial_index("messages_following", "follows IS NOT NULL", messages.c.follows)
#: Of a mailing, what is still to be let go out, and what has not come to its end.
_OF_BATCH_PLANNED = "batch IS NOT NULL AND state = 'planned'"
batch_planned = _partial_index(
    "messages_batch_planned", _OF_BATCH_PLANNED, messages.c.account, messages.c.batch, messages.c.number
)
_OF_BATCH_OPEN = "batch IS NOT NULL AND final_at IS NULL"
batch_open = _partial_index("messages_batch_open", _OF_BATCH_OPEN, messages.c.account, messages.c.batch)
