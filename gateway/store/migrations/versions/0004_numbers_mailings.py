"""Integer ids, what is kept for accounts, mailings, codes; replies and messages that are asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _columns()
    op.create_table(
        "numbers", sa.Column("account", sa.Text, primary_key=True), sa.Column("last", sa.Integer, nullable=False)
    )
    _records()
    _mailings()
    op.create_table(
        "codes",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("digits", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False, index=True),
        sa.Column("used_at", sa.BigInteger),
    )


def _columns() -> None:
    for name, kind in (
        ("watch_until", sa.BigInteger),
        ("number", sa.Integer),
        ("batch", sa.Integer),
        ("follows", sa.String(36)),
        ("final_at", sa.BigInteger),
        ("asked_at", sa.BigInteger),
    ):
        op.add_column("messages", sa.Column(name, kind))
    _index("messages_integer", "messages", ["account", "number"], "number IS NOT NULL", unique=True)
    _index("messages_batch", "messages", ["account", "batch", "number"], "batch IS NOT NULL")
    _index("messages_follow_ups", "messages", ["due_at"], "follows IS NOT NULL AND state = 'planned'")
    _index("messages_following", "messages", ["follows"], "follows IS NOT NULL")
    planned = "batch IS NOT NULL AND state = 'planned'"
    _index("messages_batch_planned", "messages", ["account", "batch", "number"], planned)
    _index("messages_batch_open", "messages", ["account", "batch"], "batch IS NOT NULL AND final_at IS NULL")
    for name, kind in (("number", sa.Integer), ("batch", sa.Integer), ("read_at", sa.BigInteger)):
        op.add_column("replies", sa.Column(name, kind))
    _index("replies_batch", "replies", ["account", "batch", "number"], "batch IS NOT NULL")
    op.add_column("callbacks", sa.Column("url", sa.Text))


def _records() -> None:
    op.create_table(
        "records",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("records_kind", "records", ["account", "kind", "number"])
    op.create_table(
        "contacts",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("list", sa.Integer, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("digits", sa.Text),
        sa.Column("content", sa.Text, nullable=False),
    )


def _mailings() -> None:
    op.create_table(
        "mailings",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("dialect", sa.Text, nullable=False),
        sa.Column("smsbat", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("sender_id", sa.Integer),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("ttl", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("bulk", sa.String(36)),
        sa.Column("picture", sa.String(64)),
    )
    _index("mailings_due", "mailings", ["due_at"], "state = 'confirmed'")
    _index("mailings_bulk", "mailings", ["bulk"], "bulk IS NOT NULL")
    op.create_table(
        "bulks",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("dialect", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    _index("bulks_to_tell", "bulks", ["created_at"], "url IS NOT NULL")


def _index(name: str, table: str, columns: list[str], condition: str, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
