"""The tables as they are now. Every change to them is a migration under ``migrations/versions``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

from gateway.core.messages import State

metadata = MetaData()

#: One row a message. Times are milliseconds since the epoch. ``content`` is the neutral content as JSON, so that a new
#: kind of content needs no new column; what is searched by has one. Other tables will refer to ``id``.
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

#: How fast an account sends: the moment, in microseconds since the epoch, when what it sent is worked off at its rate.
rates = Table(
    "rates",
    metadata,
    Column("account", Text, primary_key=True),
    Column("free_at", BigInteger, nullable=False),
)

#: Messages that a request with the same reference and phone would repeat, for accounts that want that told.
repeats = Table(
    "repeats",
    metadata,
    Column("account", Text, primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("digits", Text, primary_key=True),
    Column("message", String(36), nullable=False),
    Column("until", BigInteger, nullable=False, index=True),
)

#: What is still to be submitted, by credential and age: small however many messages there are.
unsettled = Index(
    "messages_unsettled",
    messages.c.smsbat,
    messages.c.id,
    sqlite_where=messages.c.state == State.ACCEPTED.value,
    postgresql_where=messages.c.state == State.ACCEPTED.value,
)
