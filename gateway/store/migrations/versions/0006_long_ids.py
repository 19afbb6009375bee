"""Ids of callbacks and early reports in 64 bits: those of 32 bits last 25 days at a thousand a second."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        # SQLite's have 64 bits from the start.
        return
    for table in ("callbacks", "early_reports"):
        op.alter_column(table, "id", type_=sa.BigInteger)
        op.execute(f"ALTER SEQUENCE {table}_id_seq AS bigint")
