"""What an operator follows: a message's id from the line of its request to those of its calls and its callbacks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import GatewayProcess, gateway_process
from tests.support.raw import exchange, post, signed, urlencoded
from tests.support.servers import RunningSandbox, accounts, eventually, free_address, running_sandbox, write_mappings
from tests.support.smsby import call, post_json, result

HOOK = "hook-of-the-tests-of-lines"


class Followed:
    """A gateway, the sandbox behind it, and its log."""

    def __init__(self, process: GatewayProcess, sandbox: RunningSandbox, log: Path) -> None:
        self.address = process.address
        self.sandbox = sandbox
        self._log = log
        self._asked_for: Counter[str] = Counter()

    def lines(self, event: str) -> list[dict[str, Any]]:
        written = self._log.read_text()
        whole = written[: written.rfind("\n") + 1]
        return [line for line in map(json.loads, whole.splitlines()) if line["event"] == event]

    def request(self, endpoint: str) -> dict[str, Any]:
        """The line of the next request to an endpoint; it is written behind the answer."""
        there = self._asked_for[endpoint]
        self._asked_for[endpoint] += 1
        found = eventually(lambda: [each for each in self.lines("request") if each["endpoint"] == endpoint][there:])
        return found[0]

    def calls_with(self, name: str) -> list[dict[str, Any]]:
        """Lines of calls that name a message or a mailing."""
        calls = self.lines("smsbat call")
        return [line for line in calls if name in line["ids"] or name in line.get("batches", [])]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    folder, address = tmp_path_factory.mktemp("lines"), free_address()
    with running_sandbox(pace=0.02, limited=False) as sandbox:
        sandbox.tell_hook(address, HOOK)
        callback = {"url": f"{sandbox.url}/partner/ok", "private": True}
        content = accounts(sandbox.url, reports={"callback": callback, "hook": HOOK}, smsby={})
        mappings = write_mappings(folder / "mappings", content)
        with gateway_process(mappings, folder / "gateway.db", address, folder / "log") as process:
            yield Followed(process, sandbox, folder / "log")


def test_every_message_of_a_large_request(followed: Followed) -> None:
    phones = [f"38050{number:07d}" for number in range(300)]
    answer = exchange(followed.address, post(urlencoded(signed(phone=phones, txt="hi", dlr="1"))))
    ids = [message for _, message in answer.message_ids]
    assert followed.request("/")["ids"] == ids
    assert {each for line in followed.lines("smsbat call") for each in line["ids"]} >= set(ids)
    eventually(lambda: {line["message"] for line in followed.lines("callback")} >= set(ids))


def test_a_message_of_each_dialect(followed: Followed) -> None:
    pairs = {"user": "onvUser", "sign": "4Ab2ln4FEa32", "from": "Shop", "phone": "380501234567", "txt": "hi"}
    body = urlencoded([*{**pairs, "sending_method": "viber"}.items()])
    exchange(followed.address, post(body, target=b"/api/SendMessage"))
    result_of_sms = call(followed.address, "sendQuickSMS", phone="375291234567", message="hi")
    assert result_of_sms.status == 200
    call(followed.address, "flashCall", phone="375291234567")
    for endpoint in ("/api/SendMessage", "/sendquicksms", "/flashcall"):
        [message] = followed.request(endpoint)["ids"]
        assert len(eventually(lambda: followed.calls_with(message))) == 1  # noqa: B023


def test_a_message_instead_of_another(followed: Followed) -> None:
    call(followed.address, "sendQuickSMS", phone="375291234569", message="hi", forwarding_message=1, vibername_id=444)
    line = followed.request("/sendquicksms")
    assert len(line["ids"]) == len(line["follow_ups"]) == 1
    assert line["ids"] != line["follow_ups"]


def test_a_mailing_and_a_bulk_request(followed: Followed) -> None:
    number = result(call(followed.address, "createSubscriberList", name="All"))["list_id"]
    rows = {"list_id": str(number), "field_names": ["phone"], "data": [["375291234567"], ["375297654321"]]}
    result(post_json(followed.address, "importContacts", rows))
    asked = {"vibername_id": 444, "list_id": number, "message": "News"}
    made = result(call(followed.address, "sendViberMessageList", version="v2", **asked))["message_id"]
    call(followed.address, "confirmViberMessage", message_id=made)
    mailing = f"demo#{made}"
    assert followed.request("/sendvibermessagelist")["batches"] == [mailing]
    assert followed.request("/confirmvibermessage")["batches"] == [mailing]
    eventually(lambda: sum(line["messages"] for line in followed.calls_with(mailing)) == 2)

    entry = {"alphaname_id": "444", "name": "News", "message_type": "bulk", "content": {"type": "text", "text": "hi"}}
    entry = {**entry, "schedule_time": "2024-10-30T22:56:00", "delivery_list": ["375291234567"]}
    script = f"{followed.sandbox.url}/partner/ok/bulk"
    bulk = post_json(followed.address, "sendBulkViber", {"messages": [entry], "callback_url": script}).json["uuid"]
    told = followed.request("/sendbulkviber")["batches"]
    assert told[0] == bulk
    assert eventually(lambda: followed.calls_with(told[1]))
    eventually(lambda: bulk in {line["message"] for line in followed.lines("callback")})
