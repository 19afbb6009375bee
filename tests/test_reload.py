"""Mapping files that change while requests are served: used whole or not at all, and no request notices."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.errors import StoreUnavailable
from gateway.mapping.loader import Plan
from gateway.settings import Address
from gateway.switch import Files, Switch, files_of
from gateway.translation import Ground
from tests.support.process import GatewayProcess, gateway_process
from tests.support.raw import Connection, exchange, get, post, signed
from tests.support.servers import RunningSandbox, accounts, eventually, free_address, running_sandbox, write_mappings
from tests.test_operator import fetch, figures, told
from tests.test_verdicts import is_stored

HOOK = "hook-of-the-reloads-0123"
#: The long form: GATEWAY_TEST_RELOADS=200.
RELOADS = int(os.environ.get("GATEWAY_TEST_RELOADS", "10"))
#: What one plan answers, and what it sends.
VARIANTS = {"OK": "viber_promo", "GOOD": "viber_trans"}


def reload(operator: Address) -> tuple[int, str]:
    with Connection(operator) as connection:
        connection.write(b"POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        answer = connection.read()
    return answer.status, answer.text


@dataclass
class Reloading:
    """A gateway process whose mapping files are changed."""

    folder: Path
    process: GatewayProcess
    sandbox: RunningSandbox

    def write(self, word: str) -> None:
        """A plan that answers with this word, and sends as the type that belongs to it; one file at a time."""
        content = accounts(self.sandbox.url, viber=VARIANTS[word])
        file = write_mappings(self.folder / "new", content)
        messagio = (file / "messagio.yaml").read_text()
        spoken = messagio.replace("tech_message: OK", f"tech_message: {word}")
        spoken = spoken.replace("<tech_message>OK</tech_message>", f"<tech_message>{word}</tech_message>")
        for name, text in (("messagio.yaml", spoken), ("accounts.yaml", (file / "accounts.yaml").read_text())):
            (self.folder / "mappings" / name).write_text(text)

    def write_accounts(self, url: str = "", **account: Any) -> None:
        """Another accounts file, with an SMSBAT that may be elsewhere."""
        self.use(accounts(url or self.sandbox.url, **account))

    def use(self, content: dict[str, Any]) -> None:
        """Another accounts file."""
        new = write_mappings(self.folder / "new", content)
        (self.folder / "mappings" / "accounts.yaml").write_text((new / "accounts.yaml").read_text())

    def spoil(self) -> None:
        (self.folder / "mappings" / "messagio.yaml").write_text("kind: dialect\ndialekt: messagio\n")

    def reload(self) -> tuple[int, str]:
        return reload(self.process.operator)

    def send(self, phone: str) -> str:
        raw = get(signed(phone=phone, txt="hi", sending_method="viber"))
        return str(exchange(self.process.address, raw).xml["tech_message"])


@contextmanager
def reloading(folder: Path) -> Iterator[Reloading]:
    with running_sandbox(limited=False) as sandbox:
        mappings = write_mappings(folder / "mappings", accounts(sandbox.url))
        with gateway_process(mappings, folder / "gateway.db", free_address(), folder / "log") as process:
            yield Reloading(folder, process, sandbox)


def test_reloads_under_load_half_of_them_broken(tmp_path: Path) -> None:
    with reloading(tmp_path) as gateway:
        stop = threading.Event()
        answers: dict[str, str] = {}
        clients = [
            threading.Thread(target=_keep_sending, args=(gateway.process.address, i, stop, answers)) for i in range(4)
        ]
        for client in clients:
            client.start()
        for number in range(RELOADS):
            if number % 2:
                gateway.spoil()
                status, body = gateway.reload()
                assert status == 422
                assert "dialekt" in body
            else:
                gateway.write(["OK", "GOOD"][number // 2 % 2])
                assert gateway.reload() == (200, '{"status":"loaded"}')
        stop.set()
        for client in clients:
            client.join()
        assert len(answers) > 5 * RELOADS
        assert set(answers.values()) == set(VARIANTS)
        eventually(lambda: len(gateway.sandbox.received) >= len(answers))
        sent = {each["to"]: each["type"] for each in gateway.sandbox.received}
        assert {phone: VARIANTS[word] for phone, word in answers.items()} == sent
        assert gateway.sandbox.summary()["doubles"] == 0
        assert figures(gateway.process.operator)["gateway_plan_failures_total"] == RELOADS // 2


def test_an_account_under_another_smsbat_login_is_told_of_what_it_sent_before(tmp_path: Path) -> None:
    """SMSBAT still tells of it at the account's own webhook."""
    with reloading(tmp_path) as gateway:
        script = {"url": f"{gateway.sandbox.url}/partner/ok", "private": True}
        content = accounts(gateway.sandbox.url, reports={"callback": script, "hook": HOOK})
        gateway.use(content)
        assert gateway.reload()[0] == 200
        sent = exchange(gateway.process.address, get(signed(phone="380500000901", txt="hi", dlr="1"))).message_ids
        known = eventually(lambda: gateway.sandbox.received)[0]["messageId"]
        content["smsbat"]["other"] = {**content["smsbat"]["main"], "key": "another-key"}
        content["accounts"]["demo"]["smsbat"] = "other"
        gateway.use(content)
        assert gateway.reload()[0] == 200
        body = json.dumps({"messageId": known, "deliverystatus": "delivered"}).encode()
        hook = f"/hooks/{HOOK}".encode()
        assert exchange(gateway.process.address, post(body, b"application/json", hook)).status == 200
        [callback] = eventually(lambda: gateway.sandbox.told)
        assert f"msg_id={sent[0][1]}" in callback["told"]


def test_a_script_that_is_new_is_told_although_a_call_of_the_old_plan_lasts(tmp_path: Path) -> None:
    """Who only knows the old files must not be the one that learns what became of messages."""
    with reloading(tmp_path) as gateway:
        gateway.sandbox.options.latency = 20.0
        gateway.write_accounts(wait=0.1)
        assert gateway.reload()[0] == 200
        gateway.send("380501234567")
        eventually(lambda: gateway.sandbox.summary()["calls"] == 1)
        gateway.sandbox.options.latency = 0.0
        script = {"url": f"{gateway.sandbox.url}/partner/ok", "private": True}
        gateway.write_accounts(wait=0.1, reports={"callback": script})
        assert gateway.reload()[0] == 200
        reported = get(signed(phone="380501234568", txt="hi", dlr="1"))
        assert exchange(gateway.process.address, reported).code == 0
        eventually(lambda: gateway.sandbox.told, seconds=18)


def test_a_copy_of_a_request_that_the_old_plan_still_has(tmp_path: Path) -> None:
    """Success would promise what the old plan then takes back."""
    with reloading(tmp_path) as gateway:
        gateway.write_accounts(repeats=600, on_timeout="refuse", wait=2.0, url=f"http://{free_address()}")
        assert gateway.reload()[0] == 200
        request = get(signed(phone="380501234567", txt="hi", p_transaction_id="order-1"))
        answers: list[int] = []
        first = threading.Thread(target=lambda: answers.append(exchange(gateway.process.address, request).code))
        first.start()
        eventually(lambda: is_stored(tmp_path, "380501234567"))
        assert gateway.reload()[0] == 200
        answers.append(exchange(gateway.process.address, request).code)
        first.join()
        assert answers == [-4, -4]


def test_every_worker_reloads_whichever_is_asked(tmp_path: Path) -> None:
    """A secret in a file of its own changes without the folder of mapping files: nobody notices by themselves."""
    secret = tmp_path / "secret"
    secret.write_text("before")
    with running_sandbox() as sandbox:
        content = accounts(sandbox.url)
        content["accounts"]["demo"]["logins"]["messagio"]["secrets"] = [f"file:{secret}"]
        mappings, many = write_mappings(tmp_path / "mappings", content), {"GATEWAY_WORKERS": "3"}
        with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log", many) as process:

            def codes(word: str) -> set[int]:
                raw = get(signed(word, phone="380501234567", txt="hi"))
                return {exchange(process.address, raw).code for _ in range(24)}

            assert codes("before") == {0}
            secret.write_text("behind")
            assert reload(process.operator) == (200, '{"status":"loaded"}')
            # All three, the one that was asked once more. One that is still at it leaves requests to the others.
            eventually(lambda: len(told(tmp_path / "log", "mapping files loaded anew")) == 4)
            assert (codes("behind"), codes("before")) == ({0}, {-2})
            # What the parent loaded at the start is older than that.
            os.kill(process.children[0], signal.SIGKILL)
            eventually(lambda: len(told(tmp_path / "log", "serving")) == 4)
            assert (codes("behind"), codes("before")) == ({0}, {-2})


def test_files_that_were_read_on_request_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.switch.LOOK", 0.01)
    file = tmp_path / "accounts.yaml"
    seen: list[str] = []

    async def use(plan: object) -> None:
        seen.append(str(plan))

    async def scenario() -> None:
        switch = Switch(cast("Ground", None), lambda: cast("Plan", file.read_text()), tmp_path, files_of(tmp_path))
        monkeypatch.setattr(switch, "use", use)
        file.write_text("one")
        await switch.reload()
        watching = asyncio.create_task(switch.watch())
        looks = 0

        def looked(folder: Path) -> Files:
            nonlocal looks
            looks += 1
            return files_of(folder)

        monkeypatch.setattr("gateway.switch.files_of", looked)
        while looks < 5:
            await asyncio.sleep(0.001)
        assert seen == ["one"]
        file.write_text("another")
        while len(seen) < 2:
            await asyncio.sleep(0.001)
        watching.cancel()
        assert seen == ["one", "another"]

    monkeypatch.setattr(Switch, "plan", type("_Plan", (), {"dialects": {}}))
    asyncio.run(scenario())


def test_files_that_the_database_does_not_let_be_used_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.switch.LOOK", 0.01)
    tries: list[str] = []

    async def use(_plan: object) -> None:
        tries.append("use")
        if len(tries) < 3:
            raise StoreUnavailable("not stored: OperationalError")
        raise asyncio.CancelledError

    async def scenario() -> None:
        switch = Switch(cast("Ground", None), lambda: cast("Plan", None), tmp_path, files_of(tmp_path))
        monkeypatch.setattr(switch, "use", use)
        switch.reload_wanted.set()
        await switch.watch()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())
    assert len(tries) == 3


def _keep_sending(address: Address, client: int, stop: threading.Event, answers: dict[str, str]) -> None:
    with Connection(address) as connection:
        number = 0
        while not stop.is_set():
            phone = f"3805{client}{number:07}"
            connection.write(get(signed(phone=phone, txt="hi", sending_method="viber")))
            answers[phone] = connection.read().xml["tech_message"]
            number += 1


def test_a_change_is_seen_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    with reloading(tmp_path) as gateway:
        assert gateway.send("380501234567") == "OK"
        gateway.write("GOOD")
        eventually(lambda: gateway.send("380501234568") == "GOOD")
        gateway.spoil()
        eventually(lambda: "problem" in json.loads(fetch(gateway.process.operator, "/readyz")[1])["plan"])
        status, body = fetch(gateway.process.operator, "/readyz")
        assert status == 200
        assert (
            "messagio.yaml:2:1: unknown key 'dialekt' - did you mean 'dialect'?" in json.loads(body)["plan"]["problem"]
        )
        assert gateway.send("380501234569") == "GOOD"
        gateway.write("OK")
        eventually(lambda: gateway.send("380501234570") == "OK")
        assert "problem" not in json.loads(fetch(gateway.process.operator, "/readyz")[1])["plan"]


def test_a_folder_that_is_swapped_as_orchestrators_do(tmp_path: Path) -> None:
    """Every file is a link through one folder's link, which alone is replaced."""
    with running_sandbox() as sandbox:
        for name, viber in (("one", "viber_promo"), ("two", "viber_trans")):
            write_mappings(tmp_path / name, accounts(sandbox.url, viber=viber))
        mappings = tmp_path / "mappings"
        mappings.mkdir()
        (mappings / "..data").symlink_to(tmp_path / "one")
        for file in (tmp_path / "one").iterdir():
            (mappings / file.name).symlink_to(Path("..data") / file.name)
        with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log") as process:
            gateway = Reloading(tmp_path, process, sandbox)
            gateway.send("380501234567")
            (mappings / "..new").symlink_to(tmp_path / "two")
            (mappings / "..new").rename(mappings / "..data")
            phones = iter(range(10_000))

            def is_new() -> bool:
                gateway.send(f"38050123{next(phones):04}")
                return bool(sandbox.received[-1]["type"] == "viber_trans")

            eventually(is_new)
            assert sandbox.received[0]["type"] == "viber_promo"
