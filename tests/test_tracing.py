"""Traces as a receiver gets them: whole processes, a real receiver, and what is in every byte that it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway import tracing
from gateway.inbound.telling import log_exchange
from tests.support.otlp import Receiver, known, running_receiver
from tests.support.process import GatewayProcess, gateway_process
from tests.support.raw import exchange, get, post, signed, urlencoded
from tests.support.servers import (
    RunningSandbox,
    accounts,
    bound_name,
    eventually,
    free_address,
    running_sandbox,
    write_mappings,
)
from tests.support.smsby import call, post_json, result

HOOK = "hook-of-the-tracing-tests"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PHONE, TEXT = "380501234567", "a very private text"


@contextlib.contextmanager
def traced(
    folder: Path, environment: dict[str, str], script: str = "ok"
) -> Iterator[tuple[RunningSandbox, GatewayProcess]]:
    """A gateway whose demo account's script is told by webhook, and a sandbox behind it."""
    with running_sandbox(pace=0.02, limited=False) as sandbox:
        callback = {
            "url": f"{sandbox.url}/partner/{script}?pass=partner-secret",
            "private": True,
            "schedule": {"steps": [{"minutes": 0.005}], "give_up": 60},
        }
        content = accounts(sandbox.url, reports={"callback": callback, "hook": HOOK}, smsby={})
        mappings, address = write_mappings(folder / "mappings", content), free_address()
        sandbox.tell_hook(address, HOOK)
        with gateway_process(mappings, folder / "gateway.db", address, folder / "log", environment) as process:
            yield sandbox, process
        assert not logged(folder, "something could not be traced")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


def with_header(raw: bytes, header: str) -> bytes:
    return raw.replace(b"\r\n", b"\r\n" + header.encode() + b"\r\n", 1)


def is_child_of(span: Span, parent: Span) -> bool:
    return (span.trace_id, span.parent_span_id) == (parent.trace_id, parent.span_id)


def is_linked_to(span: Span, other: Span) -> bool:
    return (other.trace_id, other.span_id) in {(link.trace_id, link.span_id) for link in span.links}


def logged(folder: Path, event: str) -> list[dict[str, object]]:
    """Log lines with this event; other lines of the log are no JSON only if something is wrong."""
    lines = map(json.loads, (folder / "log").read_text().splitlines())
    return [line for line in lines if line["event"] == event]


def test_a_message_from_its_request_to_its_callback(tmp_path: Path, receiver: Receiver) -> None:
    with traced(tmp_path, receiver.environment, "flaky-1") as (_, process):
        fields = signed(phone=PHONE, txt=TEXT, dlr="1")
        answer = exchange(process.address, post(urlencoded(fields)))
        assert answer.code == 0
        eventually(lambda: len(receiver.named("callback")) == 2)
        process.terminate()
    first, second = receiver.named("callback")
    [request], [smsbat] = receiver.named("messagio /"), receiver.named("smsbat call")
    message = answer.message_ids[0][1]
    assert known(request.attributes) == {
        "gateway.dialect": "messagio",
        "gateway.endpoint": "/",
        "gateway.account": "demo",
        "gateway.messages": 1,
        "gateway.message_ids": [message],
        "gateway.batches": [],
        "gateway.outcome": "accepted",
        "http.response.status_code": 200,
    }
    assert request.kind == Span.SPAN_KIND_SERVER
    assert not request.parent_span_id
    assert is_linked_to(smsbat, request)
    assert is_child_of(smsbat, request)
    assert request.start_time_unix_nano < smsbat.start_time_unix_nano
    assert smsbat.start_time_unix_nano < smsbat.end_time_unix_nano < request.end_time_unix_nano
    told = {"gateway.smsbat": "main", "gateway.messages": 1, "gateway.message_ids": [message]}
    assert known(smsbat.attributes) == {**told, "gateway.outcome": "200"}
    told = {"gateway.account": "demo", "gateway.dialect": "messagio", "gateway.message_id": message}
    assert known(first.attributes) == {**told, "gateway.tries": 1, "gateway.outcome": "HTTP 500"}
    assert known(second.attributes) == {**told, "gateway.tries": 2, "gateway.outcome": "HTTP 200"}
    assert is_child_of(first, request)
    assert is_child_of(second, request)
    assert [each.status.code for each in (request, first, second)] == [
        Status.STATUS_CODE_UNSET,
        Status.STATUS_CODE_ERROR,
        Status.STATUS_CODE_UNSET,
    ]
    assert {name for name, _ in receiver.services} == {"smsbat-gateway"}


def test_a_call_is_linked_to_every_request_that_it_carries_messages_of(tmp_path: Path, receiver: Receiver) -> None:
    """Two calls are held up by SMSBAT; what comes meanwhile goes out in one."""
    with traced(tmp_path, receiver.environment) as (sandbox, process):
        sandbox.options.latency = 0.5
        phones = [f"3805012300{number:02d}" for number in range(40)]
        threads = [
            threading.Thread(target=exchange, args=(process.address, get(signed(phone=phone, txt=TEXT))))
            for phone in phones
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: len(receiver.named("messagio /")) == len(phones))
    requests = {tuple(known(each.attributes)["gateway.message_ids"]): each for each in receiver.named("messagio /")}
    calls = receiver.named("smsbat call")
    assert len(calls) < len(phones)
    for each in calls:
        attributes = known(each.attributes)
        assert len(each.links) == attributes["gateway.messages"]
        assert all(is_linked_to(each, requests[(message,)]) for message in attributes["gateway.message_ids"])


def test_a_trace_that_the_client_began_goes_on_here_and_no_further(tmp_path: Path, receiver: Receiver) -> None:
    content = accounts(receiver.url, wait=0.1)
    mappings = write_mappings(tmp_path / "mappings", content)
    asked = get(signed(phone=PHONE, txt=TEXT))
    environment = {**receiver.environment, "OTEL_SERVICE_NAME": "sms"}
    with gateway_process(mappings, tmp_path / "db", free_address(), tmp_path / "log", environment) as process:
        for header in (
            f"traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: secret=of-a-client",
            f"traceparent: 00-{TRACE}-{PARENT}-00",
            f"traceparent: {PHONE} {TEXT}",
            "traceparent: " + "9" * 5000,
        ):
            assert exchange(process.address, with_header(asked, header)).code == 0
        process.terminate()
    begun, *fresh = receiver.named("messagio /")
    assert (begun.trace_id.hex(), begun.parent_span_id.hex()) == (TRACE, PARENT)
    # The second one's client did not want it sampled.
    assert len(fresh) == 2
    assert not any(each.parent_span_id for each in fresh)
    assert TRACE not in {each.trace_id.hex() for each in fresh}
    assert receiver.others
    assert "traceparent" not in {name for each in receiver.others for name in each}
    assert {name for name, _ in receiver.services} == {"sms"}
    assert b"of-a-client" not in b"".join(receiver.bodies)


def test_a_mailing_and_a_bulk_request(tmp_path: Path, receiver: Receiver) -> None:
    with traced(tmp_path, receiver.environment) as (sandbox, process):
        address = process.address
        number = result(call(address, "createSubscriberList", name="All"))["list_id"]
        rows = {"list_id": str(number), "field_names": ["phone"], "data": [["375291234567"], ["375297654321"]]}
        result(post_json(address, "importContacts", rows))
        news = {"vibername_id": 444, "list_id": number, "message": TEXT}
        mailing = result(call(address, "sendViberMessageList", version="v2", **news))["message_id"]
        assert call(address, "confirmViberMessage", message_id=mailing).status == 200
        eventually(lambda: len(sandbox.received) == 2)
        entry = {
            "alphaname_id": "444",
            "name": "News",
            "message_type": "bulk",
            "content": {"type": "text", "text": TEXT},
        }
        entry = {**entry, "schedule_time": "2024-10-30T22:56:00", "delivery_list": [PHONE]}
        script = f"{sandbox.url}/partner/ok/bulk"
        bulk = post_json(address, "sendBulkViber", {"messages": [entry], "callback_url": script}).json["uuid"]
        eventually(lambda: receiver.named("callback"))
        process.terminate()
    written, confirmed, taken = (
        receiver.named(f"smsby /{each}")[0] for each in ("sendvibermessagelist", "confirmvibermessage", "sendbulkviber")
    )
    assert known(written.attributes)["gateway.batches"] == [f"demo#{mailing}"]
    assert known(confirmed.attributes)["gateway.batches"] == [f"demo#{mailing}"]
    assert known(taken.attributes)["gateway.batches"] == [bulk, f"demo#{mailing + 3}"]
    of_mailing, of_bulk = receiver.named("smsbat call")
    assert is_linked_to(of_mailing, confirmed)
    assert is_linked_to(of_bulk, taken)
    assert is_child_of(receiver.named("callback")[0], taken)


def test_nothing_personal_and_no_secret_is_sent(tmp_path: Path, receiver: Receiver) -> None:
    environment = {**receiver.environment, "OTEL_EXPORTER_OTLP_HEADERS": "x-token=receiver-secret"}
    with traced(tmp_path, environment, "500") as (sandbox, process):
        for fields in (
            signed(phone=PHONE, txt=TEXT, dlr="1"),
            signed("wrong secret", phone=PHONE, txt=TEXT),
            signed(phone="999040000001", txt=TEXT),
            [*signed(phone=PHONE, txt=TEXT), (TEXT, PHONE)],
        ):
            exchange(process.address, get(fields))
        call(process.address, "sendQuickSMS", phone=PHONE, message=TEXT)
        call(process.address, "sendQuickSMS", token="no-such-token", phone=PHONE, message=TEXT)
        call(process.address, PHONE, phone=PHONE)
        exchange(process.address, post(b"%", target=f"/{PHONE}?{PHONE}".encode()))
        eventually(lambda: receiver.named("callback"))
        process.terminate()
        assert sandbox.received
    assert len(receiver.spans) >= 10
    sent = b"".join(receiver.bodies)
    for secret in (PHONE, PHONE[-7:], "99904000000", TEXT, TEXT.partition(" ")[2], "4Ab2ln4FEa32", "sandbox-key"):
        assert secret.encode() not in sent
    for secret in (HOOK, "TESTTOKEN", "no-such-token", "partner-secret", "receiver-secret", "Sender"):
        assert secret.encode() not in sent
    assert b"receiver-secret" not in (tmp_path / "log").read_bytes()


def test_each_worker_sends_its_own(tmp_path: Path, receiver: Receiver) -> None:
    with traced(tmp_path, {**receiver.environment, "GATEWAY_WORKERS": "2"}) as (_, process):

        def both_have_sent() -> bool:
            exchange(process.address, get(signed(phone=PHONE, txt=TEXT)))
            return len(receiver.services) == 2

        eventually(both_have_sent)


@contextlib.contextmanager
def silent_receiver(listens: bool) -> Iterator[str]:
    """The address of a receiver that never answers, or that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if not listens:
            listener.close()
        yield "http://{}:{}".format(*bound_name(listener)) if listens else f"http://{free_address()}"


@pytest.mark.parametrize("listens", [False, True])
def test_a_receiver_that_is_away_slows_nobody(tmp_path: Path, listens: bool) -> None:
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with silent_receiver(listens) as url:
        soon = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/?key=in-the-address", "OTEL_BSP_SCHEDULE_DELAY": "10"}
        with traced(tmp_path, {**soon, **small}) as (_, process):
            began = time.monotonic()
            for number in range(60):
                assert exchange(process.address, get(signed(phone=f"3805012300{number:02d}", txt=TEXT))).code == 0
            assert time.monotonic() - began < 10.0
            eventually(lambda: logged(tmp_path, "traces are not taken"))
            began = time.monotonic()
            assert process.terminate() == 0
            assert time.monotonic() - began < 10.0
    assert len(logged(tmp_path, "traces are not taken")) == 1
    assert "in-the-address" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "console"},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"},
    ],
)
def test_where_there_are_no_traces_nothing_stands_in_a_requests_way(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def app(*_: object) -> None:
        return

    operations: dict[str, Any] = {}

    async def is_untouched() -> bool:
        async with tracing.tracing():
            observer = tracing.traced_observer(log_exchange)
            return (
                tracing.traced_app(app) is app
                and tracing.traced_operations(operations) is operations
                and observer is log_exchange
            )

    assert asyncio.run(is_untouched())


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


def test_without_the_packages_it_serves_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    for wanted in ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}):
        folder = tmp_path / str(len(wanted))
        with traced(folder, {**wanted, "PYTHONPATH": str(tmp_path)}) as (_, process):
            assert exchange(process.address, get(signed(phone=PHONE, txt=TEXT))).code == 0
        said = "there will be no traces: OTEL_… asks for them, and the extra is missing (smsbat-gateway[otel])"
        assert len(logged(folder, said)) == len(wanted)
