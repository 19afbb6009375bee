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

#: What is still to be submitted, by credential and age: small however many messages there are.
unsettled = Index(
    "messages_unsettled",
    messages.c.smsbat,
    messages.c.id,
    sqlite_where=messages.c.state == State.ACCEPTED.value,
    postgresql_where=messages.c.state == State.ACCEPTED.value,
)
