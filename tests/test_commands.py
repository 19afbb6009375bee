"""The command as its users type it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from gateway.sandbox.behaviour import NUMBERS
from gateway.store.engine import shown
from tests.support.process import COMMAND, command, gateway_process
from tests.support.raw import OK, exchange, get, signed
from tests.support.servers import MAPPINGS, accounts, eventually, free_address, running_sandbox, write_mappings
from tests.test_operator import figures, told
from tests.test_reload import reload

ROOT = MAPPINGS.parent


@pytest.mark.parametrize("name", ["demo", "serve", "check", "explain", "sandbox", "schema", "migrate"])
def test_each_command_has_a_help(name: str) -> None:
    shown = command(name, "--help")
    assert (shown.returncode, "Usage:" in shown.stdout) == (0, True)
    assert name in command("--help").stdout


def test_check_shows_what_is_covered() -> None:
    shown = command("check")
    assert shown.returncode == 0, shown.stdout
    assert re.search(r"phone +mapped", shown.stdout)
    assert re.search(r"image_id +mapped +an SMS has no picture", shown.stdout)
    assert re.search(r"label +ignored +statistics of the old service", shown.stdout)


def test_check_fails_with_every_problem(tmp_path: Path) -> None:
    folder = write_mappings(tmp_path, accounts("http://127.0.0.1:1"))
    text = (folder / "messagio.yaml").read_text()
    (folder / "messagio.yaml").write_text(text.replace("ttl: $dlr_timeout", "ttl: $timeout"))
    shown = command("check", str(folder))
    assert shown.returncode == 1
    assert "nothing is called 'timeout' here" in shown.stdout


def test_check_looks_at_the_files_that_would_be_served(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("kind: dialect\nbogus: 1\n")
    shown = command("check", GATEWAY_MAPPINGS=str(tmp_path))
    assert (shown.returncode, f"{tmp_path / 'mine.yaml'}:2:1: unknown key 'bogus'" in shown.stdout) == (1, True)
    assert command("check", "mappings", GATEWAY_MAPPINGS=str(tmp_path)).returncode == 0


def test_check_notes_a_script_that_is_not_reached(tmp_path: Path) -> None:
    for private, noted in ((False, True), (True, False)):
        callback = {"url": "http://127.0.0.1:9/dlr", "private": private}
        folder = write_mappings(tmp_path / str(private), accounts("http://127.0.0.1:1", reports={"callback": callback}))
        shown = command("check", str(folder))
        assert (shown.returncode, "needs 'private: true'" in shown.stdout) == (0, noted), shown.stdout


def test_schema_prints_what_is_checked_in() -> None:
    assert command("schema").stdout == (MAPPINGS / "schema.json").read_text()


@pytest.mark.parametrize("url", ["postgresql://me:hidden@db/gw", "postgresql://db/gw?user=me&password=hidden"])
def test_a_database_is_shown_without_its_password(url: str) -> None:
    assert "hidden" not in shown(url)


def test_the_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", command("--version").stdout)


def test_what_is_used_is_told_at_the_start_and_what_is_misspelt(tmp_path: Path) -> None:
    mappings = write_mappings(tmp_path / "mappings", accounts("http://127.0.0.1:1"))
    environment = {"GATEWAY_LISTNE": "x", "GATEWAY_SHOP": "y"}
    with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log", environment) as process:
        (serving,) = eventually(lambda: told(tmp_path / "log", "serving"))
        assert (serving["listen"], serving["mappings"]) == (process.address, str(mappings))
        assert serving["database"] == f"sqlite:///{tmp_path / 'gateway.db'}"
        (line,) = told(tmp_path / "log", "a variable of the environment is no setting")
        assert (line["name"], line["did_you_mean"]) == ("GATEWAY_LISTNE", "GATEWAY_LISTEN")


def test_workers_leave_no_folder_behind(tmp_path: Path) -> None:
    """It is their parent's: a worker that ends leaves it to the others."""
    mappings = write_mappings(tmp_path / "mappings", accounts("http://127.0.0.1:1"))

    def left() -> list[Path]:
        return [*tmp_path.glob("gateway-metrics-*")]

    many = {"GATEWAY_WORKERS": "2"}
    with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log", many) as process:
        (folder,) = left()
        first = process.children[0]
        os.kill(first, signal.SIGTERM)
        eventually(lambda: first not in process.children and len(process.children) == 2)
        assert left() == [folder]
        assert (process.terminate(), left()) == (0, [])
    (tmp_path / "own").mkdir()
    own = {**many, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "own")}
    with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log", own) as process:
        assert left() == []
        assert process.terminate() == 0
    assert [*(tmp_path / "own").iterdir()]


def test_migrate(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'x.db'}"
    assert command("migrate", "--database", database).stdout == "The database was brought up to date.\n"
    assert command("migrate", GATEWAY_DATABASE=database).stdout == "The database is up to date.\n"


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--listen", "nowhere"], {}, "--listen / GATEWAY_LISTEN: it must be host:port, such as 127.0.0.1:9090"),
        (["--public-url", "me"], {}, "GATEWAY_PUBLIC_URL: it must be an address with http:// or https://"),
        ([], {"GATEWAY_LOG_FORMAT": "xml"}, "--log-format / GATEWAY_LOG_FORMAT"),
        (["--mappings", "/nowhere"], {}, "/nowhere:1:1: no such file or folder"),
        (["--listen", "192.0.2.1:80", "--mappings", "{mappings}"], {}, "can't listen on 192.0.2.1:80"),
        (
            ["--mappings", "{mappings}", "--database", "mysql://x", "--listen", "127.0.0.1:0"],
            {},
            "GATEWAY_DATABASE is sqlite:///path of a file",
        ),
    ],
)
def test_serve_says_why_it_can_not_start(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    folder = write_mappings(tmp_path, accounts("http://127.0.0.1:1"))
    filled = [each.format(mappings=folder) for each in arguments]
    shown = command("serve", "--operator-listen", "127.0.0.1:0", *filled, **environment)
    assert (shown.returncode, said in shown.stderr) == (2, True), shown.stderr
    assert "Traceback" not in shown.stderr


def test_the_demo_as_a_newcomer_sees_it(tmp_path: Path) -> None:
    """Start it, paste the line it prints, read what it says, press Ctrl-C."""
    ports = [free_address().rpartition(":")[2] for _ in range(3)]
    options = ["--port", ports[0], "--operator-port", ports[1], "--sandbox-port", ports[2]]
    options += ["--mappings", str(shutil.copytree(MAPPINGS, tmp_path / "mappings"))]
    log = (tmp_path / "out").open("w+")
    demo = subprocess.Popen(
        [*COMMAND, "demo", *options, "--database", f"sqlite:///{tmp_path / 'demo.db'}"],
        stdout=log,
        stderr=log,
        cwd=ROOT,
    )
    try:
        said = eventually(lambda: text if "curl -d" in (text := (tmp_path / "out").read_text()) else "")
        curl = next(line for line in said.splitlines() if "curl -d" in line)
        answer = subprocess.run([*shlex.split(curl), "-s"], capture_output=True, text=True, timeout=20, check=True)
        assert answer.stdout == OK
        listed = subprocess.run(
            ["curl", "-s", f"http://127.0.0.1:{ports[2]}/sandbox/messages"], capture_output=True, timeout=20, check=True
        )
        assert json.loads(listed.stdout)["list"][0]["text"] == "hello"
        said = eventually(lambda: text if "went back" in (text := (tmp_path / "out").read_text()) else "")
        assert "messagio, account demo: sms to 79041231231" in said
        assert '"to":"79041231231","type":"sms","text":"hello"' in said
        assert f"http://127.0.0.1:{ports[1]}/metrics" in said
        accepted = 'gateway_requests_total{dialect="messagio",endpoint="/",outcome="accepted"}'
        assert figures(f"127.0.0.1:{ports[1]}")[accepted] == 1
        (tmp_path / "mappings" / "messagio.yaml").write_text("kind: dialect\nbogus: 1\n")
        status, problem = reload(f"127.0.0.1:{ports[1]}")
        assert (status, "bogus" in problem) == (422, True)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
        assert "Traceback" not in (tmp_path / "out").read_text()
    finally:
        demo.kill()
        demo.wait()
        log.close()


def test_the_sandboxes_help_lists_every_number() -> None:
    shown = command("sandbox", "--help").stdout
    assert all(f"{prefix}…" in shown and text in shown for prefix, (_, text) in NUMBERS.items())


def test_the_sandbox_starts_and_stops(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+") as log:
        port = free_address().rpartition(":")[2]
        sandbox = subprocess.Popen([*COMMAND, "sandbox", "--port", port], stdout=log, stderr=log)
        try:
            eventually(lambda: f"http://127.0.0.1:{port}" in (tmp_path / "out").read_text())
            sandbox.send_signal(signal.SIGTERM)
            assert sandbox.wait(20) == 0
        finally:
            sandbox.kill()
            sandbox.wait()


def test_logs_hold_no_secret_no_text_and_no_phone(tmp_path: Path) -> None:
    """Canaries in every place that a client or a deployment can put one."""
    secret, text, phone = "CANARY-secret", "CANARY-text", "380509876543"
    with running_sandbox(key="CANARY-key") as sandbox:
        content = accounts(sandbox.url, {"key": "CANARY-key"})
        content["accounts"]["demo"]["logins"]["messagio"]["secrets"] = [secret]
        mappings = write_mappings(tmp_path / "mappings", content)
        log = tmp_path / "log"
        with gateway_process(mappings, tmp_path / "gateway.db", free_address(), log) as process:
            pairs = signed(secret, phone=phone, txt=text)
            assert exchange(process.address, get(pairs)).text == OK
            assert exchange(process.address, get([*pairs, ("txt", "other")])).code == -2
            assert exchange(process.address, get([*pairs, ("hex", "1")])).code == -3
            assert exchange(process.address, get(signed(secret, phone="99911000001", txt=text))).code == -4
            assert process.terminate() == 0
        written = log.read_text()
    events = [json.loads(line) for line in written.splitlines()]
    assert [event["answer"] for event in events if event["event"] == "request"] == [
        "accepted",
        "authentication",
        "unsupported (hex)",
        "temporary",
    ]
    assert "CANARY" not in written
    assert phone not in written
    assert "99911000001" not in written
