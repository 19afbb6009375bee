"""The way from any earlier shape of the database to the present one."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, text

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
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True


def current_revision(engine: Engine) -> str | None:
    """The migration that a database is at; ``None`` for an empty one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return revision
