"""Uploaded pictures, rates of accounts, and the messages that repeats are told by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "media",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("needed_until", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "rates",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("level", sa.Float, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "repeats",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("reference", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("message", sa.String(36), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False, index=True),
    )
