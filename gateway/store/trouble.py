"""What is wrong with a database, in words for the log and for the operator."""

from __future__ import annotations

import sqlite3


def named(error: BaseException) -> str:
    """SQLite's own words, which name columns and never values; of PostgreSQL its code, since its words quote rows."""
    original = getattr(error, "orig", None)
    if isinstance(original, sqlite3.Error):
        return str(original)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    sqlstate = getattr(original, "sqlstate", None)
    return f"{type(error).__name__} {sqlstate}" if sqlstate else type(error).__name__
