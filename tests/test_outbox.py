"""The commands that look into the database of a gateway."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.store.migrations import HEAD
from tests.support.process import command
from tests.support.servers import accounts, write_mappings

#: As long as any, of letters that stand nowhere else in what is shown.
ID = "ABCDEFGHIJKLMNOPQRSTUVWXYABCDEFGHIJK"
#: A pipe, and a narrow terminal.
SHOWN_ON: list[dict[str, str]] = [{}, {"TTY_COMPATIBLE": "1", "COLUMNS": "80"}]
LOOKING = [["callbacks", "list"], ["callbacks", "retry", "--all"], ["replies"]]


def at_shape(folder: Path, shape: str) -> str:
    """The URL of a database that says so of itself."""
    url = f"sqlite:///{folder / 'gateway.db'}"
    command("migrate", "--database", url)
    asked(folder, "UPDATE alembic_version SET version_num = ?", shape)
    return url


def asked(folder: Path, statement: str, *values: Any) -> list[Any]:
    with contextlib.closing(sqlite3.connect(folder / "gateway.db")) as connection, connection:
        return connection.execute(statement, values).fetchall()


@pytest.mark.parametrize("words", LOOKING)
def test_who_looks_into_a_database_does_not_change_its_shape(tmp_path: Path, words: list[str]) -> None:
    """One that nobody has used yet, and one of an earlier version, whose gateway may be running on it."""
    (tmp_path / "gateway.db").touch()
    (tmp_path / "old").mkdir()
    earlier = at_shape(tmp_path / "old", "0005")
    for url in (f"sqlite:///{tmp_path / 'gateway.db'}", earlier):
        shown = command(*words, "--database", url)
        assert (shown.returncode, "`smsbat-gateway migrate` brings it there" in shown.stderr) == (1, True)
    assert asked(tmp_path, "SELECT name FROM sqlite_master") == []
    assert asked(tmp_path / "old", "SELECT version_num FROM alembic_version") == [("0005",)]


@pytest.mark.parametrize("words", [["migrate"], ["serve"], ["serve", "--workers", "2"], *LOOKING])
def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path, words: list[str]) -> None:
    newer = at_shape(tmp_path, "9999")
    mappings = write_mappings(tmp_path / "mappings", accounts("http://127.0.0.1:1"))
    places = {"GATEWAY_MAPPINGS": str(mappings), "GATEWAY_MEDIA": str(tmp_path / "media")}
    doors = {"GATEWAY_LISTEN": "127.0.0.1:0", "GATEWAY_OPERATOR_LISTEN": "127.0.0.1:0"}
    shown = command(*words, "--database", newer, **places, **doors)
    told = f"the database has shape 9999, and this gateway knows those up to {HEAD}: it belongs to a newer one"
    assert (shown.returncode, shown.stderr.splitlines()[-1]) == (2, told)
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("number", ["99999999999999999999999", "9223372036854775808", "-99999999999999999999999"])
def test_a_number_that_no_row_can_have_is_not_known(tmp_path: Path, number: str) -> None:
    shown = command("callbacks", "retry", "--database", at_shape(tmp_path, HEAD), "--", "9223372036854775807", number)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines() == [
        "0 callback(s) will be sent again.",
        "The others are still pending, were taken, or are not known.",
    ]


@pytest.mark.parametrize("words", [["callbacks", "list"], ["replies"]])
def test_a_limit_has_a_limit(tmp_path: Path, words: list[str]) -> None:
    database = at_shape(tmp_path, HEAD)
    assert command(*words, "--limit", "100000", "--database", database).returncode == 0
    shown = command(*words, "--limit", "99999999999999999999", "--database", database)
    assert (shown.returncode, "'--limit'" in shown.stderr) == (2, True)


def gathered(letters: str, shown: str) -> str:
    """A column by the letters that it alone has: what stands in it may go on below."""
    return "".join(re.findall(f"[{letters}]+", shown))


def replied(folder: Path, text: str) -> str:
    database = at_shape(folder, HEAD)
    columns = "smsbat, id, account, sender, digits, text, message, at"
    asked(folder, f"INSERT INTO replies ({columns}) VALUES ('main', 'r', 'demo', 's', '380', ?, ?, 0)", text, ID)
    return database


@pytest.mark.parametrize("terminal", SHOWN_ON)
def test_replies_are_shown_in_full(tmp_path: Path, terminal: dict[str, str]) -> None:
    text = "абвгґдеєжз" * 20
    shown = command("replies", "--database", replied(tmp_path, text), **terminal).stdout
    assert (gathered("A-Y", shown), gathered("а-яєґ", shown)) == (ID, text)


@pytest.mark.parametrize("terminal", SHOWN_ON)
def test_callbacks_are_shown_with_their_whole_ids(tmp_path: Path, terminal: dict[str, str]) -> None:
    database = at_shape(tmp_path, HEAD)
    columns = "message, account, dialect, facts, state, event_at, due_at, tries, outcome"
    facts = json.dumps({"event": "delivery", "id": ID, "status": "delivered"})
    row = (ID, "demo", "messagio", facts, "refused", 0, 0, 3, "http 404, not found, " * 4)
    asked(tmp_path, f"INSERT INTO callbacks ({columns}) VALUES ({', '.join('?' * len(row))})", *row)
    shown = command("callbacks", "list", "--database", database, **terminal).stdout
    assert gathered("A-Y", shown) == ID


def test_what_a_subscriber_wrote_does_not_command_the_terminal(tmp_path: Path) -> None:
    text = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\r\n[bold]e[/]"
    shown = command("replies", "--database", replied(tmp_path, text)).stdout
    assert r"a\x1b]0;title\x07b\x1b[2Jc\x9b31md\r " in shown
    assert "[bold]e[/]" in shown.splitlines()[2]
    assert all(each.isprintable() for each in shown.splitlines())
