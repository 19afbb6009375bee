"""The sandbox against the wire page: who may, what is refused and how, limits, statuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.sandbox.behaviour import NUMBERS, Fault, numbers_help
from tests.support.raw import Connection, post
from tests.support.servers import RunningSandbox, running_sandbox

KEY = {"X-Authorization-Key": "sandbox-key"}
ITEM = {"from": "A", "to": "380936670003", "type": "sms", "text": "t", "customerMessageId": "id"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(limited=False, pace=0) as running:
        yield running


def send(sandbox: RunningSandbox, *items: Any, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    content = more or {"json": {"messages": list(items)}}
    return httpx.post(
        f"{sandbox.url}/bat/messagelist", headers=KEY if headers is None else headers, timeout=10, **content
    )


def basic(login: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


@pytest.mark.parametrize("headers", [KEY, basic("@", "sandbox-key"), basic("sandbox", "sandbox-password")])
def test_three_ways_in(sandbox: RunningSandbox, headers: dict[str, str]) -> None:
    assert send(sandbox, ITEM, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"X-Authorization-Key": "x"}, basic("@", "x"), basic("x", "sandbox-key")])
def test_nobody_else(sandbox: RunningSandbox, headers: dict[str, str]) -> None:
    assert send(sandbox, ITEM, headers=headers).status_code == 401


def test_the_guides_answer(sandbox: RunningSandbox) -> None:
    answer = send(sandbox, ITEM).json()
    entry = answer["messages"][0]
    assert list(entry) == ["messageId", "from", "to", "text", "dtExpire", "customerMessageId", "partsCount", "type"]
    assert isinstance(entry["messageId"], int)
    assert isinstance(answer["messagelistId"], int)


def test_the_help_pages_answer() -> None:
    with running_sandbox(shape="help-004") as sandbox:
        entry = send(sandbox, ITEM).json()["messages"][0]
    assert list(entry) == ["messageId", "status", "parts", "customerMessageId", "to"]
    assert (entry["status"], entry["to"]) == ("accepted", "+380936670003")


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"to": "12"}, 422, {"code": "INVALID_RECIPIENT", "message": "Invalid phone number format"}),
        ({"to": "phone"}, 422, {"code": "INVALID_RECIPIENT", "message": "Invalid phone number format"}),
        ({"from": ""}, 400, "Bad Request"),
        ({"type": "fax"}, 400, "Bad Request"),
        ({"text": ""}, 400, "Bad Request"),
        (
            {"type": "viber_promo", "text": "x" * 1001},
            422,
            {"code": "MESSAGE_TOO_LONG", "message": "Text is longer than 1000 characters"},
        ),
    ],
)
def test_validation(sandbox: RunningSandbox, changed: dict[str, str], status: int, error: Any) -> None:
    answer = send(sandbox, ITEM | changed)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"content": b"{}", "headers": KEY}, 415),
        ({"content": b"{", "headers": KEY | {"Content-Type": "application/json"}}, 400),
        ({"json": {}}, 400),
        ({"json": {"messages": [ITEM] * 5001}}, 400),
    ],
)
def test_calls_that_are_none(sandbox: RunningSandbox, content: dict[str, Any], status: int) -> None:
    assert send(sandbox, **content).status_code == status


def test_call_limit() -> None:
    body = json.dumps({"messages": [ITEM]}).encode()
    call = post(body, b"application/json\r\nX-Authorization-Key: sandbox-key", b"/bat/messagelist")
    with running_sandbox() as sandbox, Connection(sandbox.address) as connection:
        connection.write(call * 200)
        answers = [connection.read() for _ in range(200)]
    assert [answer.status for answer in answers[:150]] == [200] * 150
    refused = next(answer for answer in answers if answer.status == 429)
    assert json.loads(refused.body) == {"error": "Too Many Requests", "message": "Rate limit exceeded", "status": 429}


@pytest.mark.parametrize(
    ("number", "end"),
    [("380936670003", "delivered"), ("99901000001", "undeliverable"), ("99902000001", "permanenterror")],
)
def test_statuses_move_on(number: str, end: str) -> None:
    with running_sandbox(pace=0.05) as sandbox:
        message_id = send(sandbox, ITEM | {"to": number}).json()["messages"][0]["messageId"]
        words = [_status(sandbox, message_id)]
        while words[-1] != end:
            words.append(_status(sandbox, message_id))
    order = ["scheduled", "processing", end]
    assert [word for word in order if word in words] == list(dict.fromkeys(words))


def test_an_unknown_message_has_no_status(sandbox: RunningSandbox) -> None:
    assert httpx.get(f"{sandbox.url}/bat/message/1", headers=KEY).status_code == 404


def _status(sandbox: RunningSandbox, message_id: int) -> str:
    word: str = httpx.get(f"{sandbox.url}/bat/message/{message_id}", headers=KEY).json()["deliverystatus"]
    return word


@pytest.mark.parametrize(
    ("number", "status"),
    [("99904", 422), ("99907", 503), ("99908", 500), ("99910", 402), ("99911", 401), ("99912", 403), ("99913", 429)],
)
def test_numbers_with_a_fault(sandbox: RunningSandbox, number: str, status: int) -> None:
    assert send(sandbox, ITEM | {"to": number + "000001", "customerMessageId": number}).status_code == status


def test_every_fault_can_be_asked_for_by_a_number_and_is_in_the_help() -> None:
    assert {fault for fault, _ in NUMBERS.values()} == set(Fault)
    assert all(prefix in numbers_help() for prefix in NUMBERS)


def test_what_was_received_is_listed(sandbox: RunningSandbox) -> None:
    send(sandbox, ITEM | {"to": "380936670077"})
    answer = httpx.get(f"{sandbox.url}/sandbox/messages", params={"to": "380936670077"}).json()
    assert answer["list"][0] | {"messageId": 0} == {"messageId": 0, **ITEM, "to": "380936670077"}
    assert httpx.get(f"{sandbox.url}/sandbox/summary").json()["messages"] > 0
