"""The way from any earlier shape of the database to the present one."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import ConfigurationError
from gateway.store.locks import one_at_a_time, wait_for_turns

#: The newest migration. A database that says so needs nothing, and Alembic is not even imported.
HEAD = "0006"


def migrate(engine: Engine) -> bool:
    """Bring a database to the present shape; true when there was something to do. Raises ``ConfigurationError``."""
    if has_present_shape(engine):
        return False
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.execution_options(writing=True).begin() as connection:
        wait_for_turns(connection)
        one_at_a_time(connection, "migrations")
        if _is_head(_revision(connection)):
            # Another process was quicker.
            return False
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True


def has_present_shape(engine: Engine) -> bool:
    """Whether a database has the present shape. Raises ``ConfigurationError`` where a newer gateway has changed it."""
    try:
        with engine.connect() as connection:
            return _is_head(_revision(connection))
    except SQLAlchemyError as error:
        # Not as its cause, which would be told in full: a password that is not escaped may count as the host's name.
        raise ConfigurationError(f"the database can't be opened: {_reason(error)}") from None


def _is_head(revision: str | None) -> bool:
    # Migrations are numbered with as many digits each: their texts are in the same order.
    if revision is not None and revision > HEAD:
        raise ConfigurationError(
            f"the database has shape {revision}, and this gateway knows those up to {HEAD}: it belongs to a newer one"
        )
    return revision == HEAD


def _reason(error: SQLAlchemyError) -> str:
    """The driver's last words; those before them name the server as it was understood."""
    words = str(getattr(error, "orig", None) or type(error).__name__)
    return words.partition("\n")[0].rpartition(": ")[2]


def _revision(connection: Connection) -> str | None:
    """The migration that a database is at; ``None`` for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
