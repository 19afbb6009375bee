"""The way from any earlier shape of the database to the present one."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from gateway.store.turns import one_at_a_time, wait_for_turns

#: The newest migration. A database that says so needs nothing, and Alembic is not even imported.
HEAD = "0005"


def migrate(engine: Engine) -> bool:
    """Bring a database to the present shape; true when there was something to do."""
    if current_revision(engine) == HEAD:
        return False
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.execution_options(writing=True).begin() as connection:
        wait_for_turns(connection)
        one_at_a_time(connection, "migrations")
        if _revision(connection) == HEAD:
            # Another process was quicker.
            return False
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True


def current_revision(engine: Engine) -> str | None:
    """The migration that a database is at; ``None`` for an empty one."""
    with engine.connect() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
