"""What becomes of messages: statuses, replies, and the callbacks owed to partners."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _messages()
    op.create_table(
        "early_reports",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("smsbat", sa.Text, nullable=False),
        sa.Column("upstream_id", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "replies",
        sa.Column("smsbat", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("digits", sa.Text, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("media", sa.Text),
        sa.Column("message", sa.String(36)),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    _callbacks()


def _messages() -> None:
    for column in (
        sa.Column("status", sa.Text),
        sa.Column("status_at", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.Column("leg", sa.Text),
        sa.Column("check_at", sa.BigInteger),
    ):
        op.add_column("messages", column)
    _partial_index("messages_upstream", "messages", ["upstream_id", "smsbat"], "upstream_id IS NOT NULL")
    _partial_index("messages_number", "messages", ["digits", "sender", "id"], "channel = 'viber'")
    _partial_index("messages_to_check", "messages", ["smsbat", "check_at"], "check_at IS NOT NULL")


def _callbacks() -> None:
    op.create_table(
        "callbacks",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("message", sa.String(36), nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("dialect", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("event_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text),
    )
    _partial_index("callbacks_due", "callbacks", ["account", "dialect", "due_at"], "state = 'pending'")
    _partial_index("callbacks_of_message", "callbacks", ["message"], "state = 'pending'")
    _partial_index("callbacks_ended", "callbacks", ["state", "id"], "state <> 'pending'")


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
