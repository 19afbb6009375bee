"""What the operator sees: health, readiness, and figures for Prometheus."""

from __future__ import annotations

import json
import re
import sqlite3
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

from gateway import metrics
from gateway.settings import Address
from tests.support.process import gateway_process
from tests.support.raw import exchange, get, post, signed, urlencoded
from tests.support.servers import MAPPINGS, accounts, eventually, free_address, running_sandbox, write_mappings


def fetch(address: Address, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def figures(operator: Address) -> dict[str, float]:
    """The samples by name and labels, as Prometheus reads them."""
    status, text = fetch(operator, "/metrics")
    assert status == 200, text
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def told(log: Path, event: str) -> list[dict[str, Any]]:
    """The lines of a log about something. The last one may be about to be written."""
    whole, _, _ = log.read_text().rpartition("\n")
    lines = (json.loads(line) for line in whole.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == event]


def test_figures_and_readiness(tmp_path: Path) -> None:
    smsbat = free_address()
    mappings = write_mappings(tmp_path / "mappings", accounts(f"http://{smsbat}", wait=0.3))
    with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log") as process:
        with running_sandbox(smsbat):
            fields = urlencoded([*signed(phone="380501234567", txt="hi"), ("label", "x"), ("lable", "x")])
            assert exchange(process.address, post(fields)).code == 0
            assert exchange(process.address, get(signed("wrong", phone="380501234567", txt="hi"))).code == -2
            seen = figures(process.operator)
        assert seen['gateway_requests_total{dialect="messagio",endpoint="/",outcome="accepted"}'] == 1
        assert seen['gateway_requests_total{dialect="messagio",endpoint="/",outcome="authentication"}'] == 1
        assert seen['gateway_parameters_total{dialect="messagio",fate="ignored",parameter="label"}'] == 1
        assert seen['gateway_parameters_total{dialect="messagio",fate="unknown",parameter="lable"}'] == 1
        assert seen['gateway_messages_total{channel="sms",dialect="messagio"}'] == 1
        assert seen['gateway_smsbat_calls_total{outcome="200",smsbat="main"}'] == 1
        assert seen["gateway_commit_seconds_count"] >= 1
        assert seen['gateway_request_seconds_count{dialect="messagio"}'] == 2
        assert fetch(process.operator, "/healthz") == (200, '{"status":"ok"}')
        # SMSBAT is away: what is accepted waits for it, and the gateway is ready to accept.
        for number in range(6):
            exchange(process.address, get(signed(phone=f"38050123456{number}", txt="hi")))
        condition = eventually(lambda: _when_away(process.operator)) or {}
        assert condition.pop("plan")["dialects"] == ["messagio-media", "messagio", "smsbat-compat"]
        assert condition == {"status": "ready", "store": "ok", "smsbat": {"main": "no answer"}}
        eventually(lambda: figures(process.operator)['gateway_smsbat_breaker_open{smsbat="main"}'] == 1)
        eventually(lambda: figures(process.operator)['gateway_queue_messages{smsbat="main"}'] == 6)
        # Those that are tried again count as the others do.
        eventually(lambda: figures(process.operator)['gateway_queue_oldest_seconds{smsbat="main"}'] > 2)
        (line,) = told(tmp_path / "log", "smsbat does not answer; accepted messages wait")
        assert (line["smsbat"], line["answer"], line["level"]) == ("main", "ConnectionRefusedError", "warning")
        text = fetch(process.operator, "/metrics")[1]
        assert not re.search(r"38050123|4Ab2ln4FEa32|sandbox-key", text)


def _when_away(operator: Address) -> dict[str, Any] | None:
    status, body = fetch(operator, "/readyz")
    assert status == 200
    condition: dict[str, Any] = json.loads(body)
    return condition if condition["smsbat"]["main"] != "ok" else None


def test_a_refused_login_is_told_once_and_shown_until_it_is_taken(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        mappings = write_mappings(tmp_path / "mappings", accounts(sandbox.url))
        with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log") as process:
            shown = 'gateway_smsbat_credential_refused{smsbat="main"}'
            for _ in range(3):
                assert exchange(process.address, get(signed(phone="999110000001", txt="hi"))).code == -4
            assert json.loads(fetch(process.operator, "/readyz")[1])["smsbat"] == {"main": "credential refused"}
            eventually(lambda: figures(process.operator).get(shown) == 1)
            assert exchange(process.address, get(signed(phone="380501234567", txt="hi"))).code == 0
            assert json.loads(fetch(process.operator, "/readyz")[1])["smsbat"] == {"main": "ok"}
            eventually(lambda: figures(process.operator)[shown] == 0)
        (line,) = told(tmp_path / "log", "smsbat refuses the credential; accepted messages wait")
        assert (line["answer"], line["level"]) == ("401", "error")
        assert len(told(tmp_path / "log", "smsbat takes calls again")) == 1


def test_workers_count_together(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        mappings = write_mappings(tmp_path / "mappings", accounts(sandbox.url))
        many = {"GATEWAY_WORKERS": "2"}
        with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log", many) as process:
            for number in range(20):
                assert exchange(process.address, get(signed(phone=f"3805012345{number:02}", txt="hi"))).code == 0
            accepted = 'gateway_requests_total{dialect="messagio",endpoint="/",outcome="accepted"}'
            # Whoever is asked has its own figures up to date, and those of the others to the last second.
            eventually(lambda: {figures(process.operator)[accepted] for _ in range(6)} == {20})
            eventually(lambda: figures(process.operator)["gateway_nodes"] == 2)
            assert figures(process.operator)["gateway_plan_loaded_seconds"] > time.time() - 60


def test_figures_are_given_while_a_worker_starts(tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    counted.mkdir()
    many = {"GATEWAY_WORKERS": "2", metrics.FOLDER: str(counted)}
    with running_sandbox() as sandbox:
        mappings = write_mappings(tmp_path / "mappings", accounts(sandbox.url))
        with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log", many) as process:
            # What a worker has of each file before the file gets its length.
            (counted / "counter_4194304.db").touch()
            assert "gateway_nodes" in figures(process.operator)


def test_a_node_without_its_database_is_not_ready(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        mappings = write_mappings(tmp_path / "mappings", accounts(sandbox.url))
        with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log") as process:
            assert fetch(process.operator, "/readyz")[0] == 200
            other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            eventually(lambda: fetch(process.operator, "/readyz")[0] == 503)
            locked = "not written to for a while: not stored: database is locked"
            eventually(lambda: json.loads(fetch(process.operator, "/readyz")[1])["store"] == locked)
            assert fetch(process.operator, "/healthz")[0] == 200
            assert exchange(process.address, get(signed(phone="380501234567", txt="hi"))).code == -4
            other.execute("ROLLBACK")
            other.close()
            # Believed again, under a new name, without a restart.
            eventually(lambda: fetch(process.operator, "/readyz")[0] == 200)
            assert exchange(process.address, get(signed(phone="380501234567", txt="hi"))).code == 0


def test_the_dashboard_shows_every_figure_and_no_other() -> None:
    """Each query names figures that exist, with labels that they have; no figure is left out."""
    board = json.loads((MAPPINGS.parent / "docs" / "grafana.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    shown = {re.sub("_(bucket|total)$", "", name) for query in queries for name in re.findall(r"gateway_\w+", query)}
    ours = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
    assert shown == {each._name for each in ours}
    labels = {label for each in ours for label in each._labelnames}
    grouped = {
        label.strip() for query in queries for by in re.findall(r"by \(([^)]*)\)", query) for label in by.split(",")
    }
    assert grouped - {"le"} <= labels
