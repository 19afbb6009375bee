"""Decisions that nodes must not make at the same moment."""

from __future__ import annotations

from sqlalchemy import Connection, func, select


def wait_for_turns(connection: Connection) -> None:
    """In this transaction, however long others take."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def one_at_a_time(connection: Connection, subject: str) -> None:
    """Until this transaction ends no other one decides on this subject; SQLite lets only one write at all."""
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(subject, 0))))
