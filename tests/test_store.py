"""The store on a real SQLite file: durable groups, faults of one row, faults of the whole."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from alembic.command import upgrade
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, inspect, select, text, update

from gateway.core.messages import Content, Message, Outcome, Receipt, State
from gateway.errors import ConfigurationError, RowRefused, StoreUnavailable
from gateway.store import migrations
from gateway.store.engine import open_engine
from gateway.store.messages import MessageStore
from gateway.store.settled import Settled
from gateway.store.tables import messages, metadata
from tests.support.postgres import new_database
from tests.support.stores import MESSAGE, NOW, message, run

#: What is asked in SQLite's own words.
ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_a_message_comes_back_as_it_was(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        await store.accept([MESSAGE], "main")
        assert (await store.unsettled("main", NOW, 10)).messages == [MESSAGE]
        assert (await store.unsettled("other", NOW, 10)).messages == []
        assert await store.unsettled_counts() == {"main": 1}

    run(engine, scenario)


def test_held_messages_are_found_when_they_are_due(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        late, later = NOW + 60_000, NOW + 120_000
        await store.accept([message(1)._replace(due_at=later), message(2)._replace(due_at=late), message(3)], "main")
        assert [each.id for each in (await store.unsettled("main", NOW, 10)).messages] == ["id-00003"]
        assert await store.next_due("main", NOW) == late
        assert [each.id for each in (await store.unsettled("main", late, 10)).messages] == ["id-00002", "id-00003"]
        assert (await store.next_due("main", late), await store.next_due("main", later)) == (later, None)
        assert (await store.unsettled("main", later, 1)).messages[0].expires_at == later + MESSAGE.ttl * 1000

    run(engine, scenario)


def test_whoever_settles_first_wins(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        await store.accept([message(1), message(2)], "main")
        await store.settle([Settled("id-00001", State.WITHDRAWN)], 5)
        await store.settle([Settled.by(message(1), Receipt(Outcome.ACCEPTED, "7"))], 6)
        assert [each.id for each in (await store.unsettled("main", NOW, 10)).messages] == ["id-00002"]

    run(engine, scenario)
    with engine.connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT state, upstream_id, settled_at FROM messages WHERE id = 'id-00001'"
        ).one()
    assert tuple(row) == ("withdrawn", None, 5)


def test_each_of_many_is_settled_by_its_own_receipt(engine: Engine) -> None:
    """One that was withdrawn stays so; of one that two calls came back with, both say the same."""
    many = [message(number) for number in range(400)]

    def taken(each: Message) -> Settled:
        return Settled.by(each, Receipt(Outcome.ACCEPTED, f"of {each.id}"))

    async def scenario(store: MessageStore) -> None:
        await store.accept(many, "main")
        await store.settle([Settled(many[3].id, State.WITHDRAWN)], 5)
        await store.settle([taken(each) for each in (*many, many[5])], 6)

    run(engine, scenario)
    with engine.connect() as connection:
        columns = messages.c.id, messages.c.state, messages.c.upstream_id, messages.c.settled_at
        found = {row.id: tuple(row)[1:] for row in connection.execute(select(*columns))}
    expected = {each.id: ("submitted", f"of {each.id}", 6) for each in many}
    assert found == {**expected, many[3].id: ("withdrawn", None, 5)}


@pytest.mark.parametrize("status", [None, "sent", "delivered"])
@pytest.mark.parametrize("asked", [(None, None), (6, 7)])
def test_what_smsbat_took_is_written_the_same_with_and_without_more_to_say(
    engine: Engine, asked: tuple[int | None, int | None], status: str | None
) -> None:
    """Most messages are written by a shorter statement. After a final report there is nothing more to ask."""
    plain, with_detail = Receipt(Outcome.ACCEPTED, "7", 2), Receipt(Outcome.ACCEPTED, "7", 2, detail="known")
    assert Settled.by(message(1), plain, *asked).is_only_taken
    assert not Settled.by(message(1), with_detail, *asked).is_only_taken

    async def scenario(store: MessageStore) -> None:
        await store.accept([message(1), message(2)], "main")
        with engine.begin() as connection:
            connection.execute(update(messages).values(status=status))
        await store.settle([Settled.by(message(1), plain, *asked), Settled.by(message(2), with_detail, *asked)], 5)
        assert await store.unsettled_counts() == {}

    run(engine, scenario)
    with engine.connect() as connection:
        first, second = connection.execute(select(messages).order_by(messages.c.id)).mappings()
    differ = {name for name in first if first[name] != second[name]}
    assert differ <= {"id", "digits", "recipient", "submission", "detail"}
    assert (first["state"], first["outcome"], first["upstream_id"], first["parts"]) == ("submitted", "accepted", "7", 2)
    assert (first["check_at"], first["watch_until"]) == (None if status == "delivered" else asked[0], asked[1])


def test_concurrent_writes_share_transactions(engine: Engine) -> None:
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)

    async def scenario(store: MessageStore) -> None:
        await asyncio.gather(*(store.accept([message(number)], "main") for number in range(500)))
        assert len((await store.unsettled("main", NOW, 1000)).messages) == 500

    run(engine, scenario)
    assert len(commits) < 100


def test_a_bad_row_fails_alone(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        await store.accept([message(1)], "main")
        results = await asyncio.gather(
            *(store.accept([message(number)], "main") for number in (2, 1, 3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [list, RowRefused, list]
        assert [each.id for each in (await store.unsettled("main", NOW, 10)).messages] == [
            "id-00001",
            "id-00002",
            "id-00003",
        ]

    run(engine, scenario)


def test_a_value_that_no_database_holds_does_not_end_the_writer(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        await store.accept([message(1)], "main")
        for receipt in (Receipt(Outcome.ACCEPTED, "\ud800"), Receipt(Outcome.ACCEPTED, "5", 2**70)):
            with pytest.raises(RowRefused):
                await store.settle([Settled.by(message(1), receipt)], 5)
        await store.settle([Settled.by(message(1), Receipt(Outcome.ACCEPTED, "5"))], 5)
        assert (await store.unsettled("main", NOW, 10)).messages == []

    run(engine, scenario)


def test_a_row_spoilt_by_hand_keeps_no_other_from_going_out(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        await store.accept([message(1), message(2)], "main")
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE messages SET content = '{}' WHERE id = 'id-00001'")
        assert [each.id for each in (await store.unsettled("main", NOW, 10)).messages] == ["id-00002"]
        # Left out, it is no sign that the reading has come to the end.
        assert not (await store.unsettled("main", NOW, 2)).exhausted
        assert (await store.unsettled("main", NOW, 3)).exhausted

    run(engine, scenario)


def test_a_database_in_trouble_says_so_without_quoting_rows(engine: Engine) -> None:
    async def scenario(store: MessageStore) -> None:
        with engine.begin() as other:
            other.execute(text("DROP TABLE messages"))
        for attempt in (store.accept([MESSAGE], "main"), store.unsettled("main", NOW, 1)):
            with pytest.raises(StoreUnavailable) as caught:
                await attempt
            assert "380501234567" not in str(caught.value)

    run(engine, scenario)


@ONLY_SQLITE
def test_the_search_for_work_uses_its_own_small_index(engine: Engine) -> None:
    statements: list[tuple[str, Any]] = []

    async def scenario(store: MessageStore) -> None:
        event.listen(
            engine, "before_cursor_execute", lambda c, cursor, sql, params, *rest: statements.append((sql, params))
        )
        await store.unsettled("main", NOW, 10)

    run(engine, scenario)
    sql, parameters = next(each for each in statements if "SELECT" in each[0])
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters).all()
    assert "messages_unsettled" in str(plan)


@ONLY_SQLITE
def test_durability_settings(engine: Engine, tmp_path: Path) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    assert stat.S_IMODE((tmp_path / "data" / "gateway.db").stat().st_mode) == 0o600


def test_migrations_make_the_tables_of_the_code(engine: Engine) -> None:
    inspector = inspect(engine)
    assert set(inspector.get_table_names()) == {*metadata.tables, "alembic_version"}
    for name, table in metadata.tables.items():
        assert [column["name"] for column in inspector.get_columns(name)] == [column.name for column in table.columns]
        nullable = {column["name"]: column["nullable"] for column in inspector.get_columns(name)}
        assert nullable == {column.name: bool(column.nullable) for column in table.columns}
        assert {index["name"] for index in inspector.get_indexes(name)} == {index.name for index in table.indexes}
    assert migrations.migrate(engine) is False


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


@pytest.mark.parametrize(
    "database", ["nonsense", "sqlite://", "mysql://x/y", "postgresql://x", "sqlite:////proc/nowhere/x.db"]
)
def test_a_database_that_can_not_be_used(database: str) -> None:
    with pytest.raises(ConfigurationError):
        open_engine(database)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_migration_from_each_earlier_version_keeps_what_is_there(kind: str, tmp_path: Path) -> None:
    """A database of an earlier version, with a message that is still to be sent in it."""
    for revision in ("0001", "0002", "0003", "0004", "0005"):
        of_sqlite = f"sqlite:///{tmp_path / f'{revision}.db'}"
        engine = open_engine(of_sqlite if kind == "sqlite" else new_database(empty=True))
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            upgrade(config, revision)
            names = [column["name"] for column in inspect(connection).get_columns("messages")]
            row = {"id": "id-1", "submission": "s", "position": 0, "account": "shop", "smsbat": "main", "report": False}
            row |= {"dialect": "messagio", "channel": "sms", "sender": "S", "recipient": "7", "digits": "7"}
            row |= {"content": '{"text": "hello"}', "state": "accepted", "accepted_at": 1, "due_at": 1, "expires_at": 2}
            assert set(row) <= set(names)
            columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO messages ({columns}) VALUES ({values})"), row)
            if revision >= "0003":
                _write_with_ids(connection)
        assert migrations.migrate(engine)
        assert _ids_after_the_largest_of_32_bits(engine) == [2**31, 2**31]

        async def scenario(store: MessageStore) -> None:
            found = (await store.unsettled("main", NOW, 10)).messages
            assert [(each.id, each.content) for each in found] == [("id-1", Content("hello"))]

        run(engine, scenario)


def test_what_is_written_without_end_does_not_run_out_of_ids(engine: Engine) -> None:
    assert _ids_after_the_largest_of_32_bits(engine) == [2**31, 2**31]


def _write_with_ids(connection: Connection) -> None:
    """A callback and an early report, which get their ids from the database."""
    connection.execute(
        text(
            "INSERT INTO callbacks (message, account, dialect, facts, state, event_at, due_at, tries)"
            " VALUES ('id-1', 'shop', 'messagio', '{}', 'done', 1, 1, 0)"
        )
    )
    connection.execute(
        text("INSERT INTO early_reports (smsbat, upstream_id, report, at) VALUES ('main', '7', '{}', 1)")
    )


def _ids_after_the_largest_of_32_bits(engine: Engine) -> list[int]:
    """Those that come when as many callbacks and early reports were written."""
    with engine.begin() as connection:
        _write_with_ids(connection)
        for table in ("callbacks", "early_reports"):
            newest = f"(SELECT max(id) FROM {table})"
            connection.execute(text(f"UPDATE {table} SET id = 2147483647 WHERE id = {newest}"))
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT setval('{table}_id_seq', 2147483647)"))
        _write_with_ids(connection)
        return [connection.scalar(text(f"SELECT max(id) FROM {table}")) for table in ("callbacks", "early_reports")]


@ONLY_SQLITE
def test_what_reads_before_it_writes_bears_another_process_that_writes(engine: Engine, tmp_path: Path) -> None:
    """An operator's command and a running gateway share the file: neither's work is refused for the other's."""

    async def scenario(store: MessageStore) -> None:
        await store.accept([message(1)], "main")

        def work(connection: Connection) -> int:
            count = connection.scalar(text("SELECT count(*) FROM messages")) or 0
            other = sqlite3.connect(tmp_path / "data" / "gateway.db", timeout=0)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("UPDATE messages SET sender = 'other'")
            other.close()
            connection.execute(text("UPDATE messages SET sender = 'ours'"))
            return count

        assert await store._database.writer.run(work) == 1

    run(engine, scenario)
