"""What SMSBAT says of a message, and what its client is answered. Over sockets, with the sandbox's faulty numbers."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.behaviour import Fault
from tests.conftest import Setup
from tests.support.raw import OK, Response, answer_text, exchange, get, post, signed, urlencoded
from tests.support.servers import eventually, free_address, running_gateway, running_sandbox

TEMPORARY = answer_text(-4, "TEMPORARY ERROR")
BALANCE = answer_text(-5, "NO MORE CREDITS")


def send(address: str, phone: str | list[str], **more: Any) -> Response:
    return exchange(address, post(urlencoded(signed(phone=phone, txt="hello", **more))))


def stored(folder: Path, phone: str) -> tuple[Any, ...]:
    """State, outcome and upstream id of the message to a number."""
    with sqlite3.connect(folder / "gateway.db") as database:
        row = database.execute(
            "SELECT state, outcome, upstream_id FROM messages WHERE recipient = ?", (phone,)
        ).fetchone()
    database.close()
    found: tuple[Any, ...] = row
    return found


def is_stored(folder: Path, phone: str) -> bool:
    """Whether the message to this phone is on disk, and still to be submitted."""
    with contextlib.suppress(sqlite3.OperationalError, TypeError):
        return bool(stored(folder, phone)[0] == "accepted")
    return False


@pytest.mark.parametrize(
    ("phone", "answer"),
    [
        ("99903000001", answer_text(-1, "PARAM ERROR (phone)")),
        ("99904000001", answer_text(-1, "PARAM ERROR (phone)")),
        ("123", answer_text(-1, "PARAM ERROR (phone)")),
        ("99910000001", BALANCE),
        ("99911000001", TEMPORARY),
        ("99912000001", answer_text(-3, "REQUEST DENIED")),
        ("99905000001", OK),
        ("99908000001", OK),
        ("99909000001", OK),
        ("99913000001", OK),
    ],
)
def test_a_verdict_in_time_is_answered_precisely(setup: Setup, phone: str, answer: str) -> None:
    assert send(setup.address, phone).text == answer


def test_some_taken_and_some_refused_is_success(setup: Setup) -> None:
    response = send(setup.address, ["380500000102", "99903000002", "99904000002"], dlr="1")
    assert [phone for phone, _ in response.message_ids] == ["380500000102", "99903000002", "99904000002"]
    assert setup.received("380500000102")


def test_one_bad_message_in_a_call_costs_the_others_nothing(setup: Setup) -> None:
    """The call is refused as a whole; it is split until the bad one is alone."""
    good = [f"38050001{number:04d}" for number in range(40)]
    send(setup.address, [*good[:17], "99904000003", *good[17:]], dlr="1")
    eventually(lambda: set(good) <= {each["to"] for each in setup.sandbox.received})
    assert sorted(each["to"] for each in setup.sandbox.received if each["to"] in good) == good


def test_a_message_that_spoils_calls_ends_up_alone(setup: Setup) -> None:
    """Its calls fail with 503 every time; those that travelled with it go out all the same."""
    good = [f"38050002{number:04d}" for number in range(8)]
    assert send(setup.address, [*good[:3], "99907000001", *good[3:]]).code == 0
    eventually(lambda: set(good) <= {each["to"] for each in setup.sandbox.received})


@pytest.fixture
def slow_sandbox(tmp_path: Path) -> Iterator[tuple[Path, Any]]:
    with running_sandbox(latency=1.2) as sandbox:
        yield tmp_path, sandbox


def test_no_verdict_in_time_is_success_and_goes_on(slow_sandbox: tuple[Path, Any]) -> None:
    folder, sandbox = slow_sandbox
    with running_gateway(folder, sandbox.url, wait=0.05) as address:
        assert send(address, "380500000201").text == OK
        eventually(lambda: stored(folder, "380500000201")[0] == "submitted")


def test_a_message_that_may_be_out_is_accepted_even_by_an_account_that_wants_refusals(
    slow_sandbox: tuple[Path, Any],
) -> None:
    folder, sandbox = slow_sandbox
    with running_gateway(folder, sandbox.url, wait=0.8, on_timeout="refuse") as address:
        assert send(address, "380500000202").text == OK
        eventually(lambda: stored(folder, "380500000202")[0] == "submitted")


def test_a_message_that_did_not_go_out_is_withdrawn_and_never_sent(tmp_path: Path) -> None:
    address = free_address()
    with running_gateway(tmp_path, f"http://{address}", wait=1.5, on_timeout="refuse") as gateway:
        assert send(gateway, "380500000203").text == TEMPORARY
        assert stored(tmp_path, "380500000203") == ("withdrawn", None, None)
        with running_sandbox(address) as sandbox:
            eventually(lambda: send(gateway, "380500000204").code == 0)
            assert "380500000203" not in {each["to"] for each in sandbox.received}


def test_too_many_calls_is_answered_as_such_by_an_account_that_wants_refusals(tmp_path: Path) -> None:
    with running_sandbox(fault=Fault.TOO_MANY) as sandbox:
        with running_gateway(tmp_path, sandbox.url, wait=1.0, on_timeout="refuse") as address:
            assert send(address, "380500000205").text == answer_text(-6, "BANDWIDTH LIMIT EXCEEDED")


def test_a_refused_credential_does_not_lose_what_was_accepted(tmp_path: Path) -> None:
    """Accepted while SMSBAT was away; when it comes back the key is wrong, until the operator mends it."""
    address = free_address()
    with running_gateway(tmp_path, f"http://{address}", wait=0.1) as gateway:
        assert send(gateway, "380500000206").text == OK
        with running_sandbox(address, key="another") as sandbox:
            eventually(lambda: sandbox.summary()["calls"] > 0)
            assert stored(tmp_path, "380500000206")[0] == "accepted"
            sandbox.options.key = "sandbox-key"
            eventually(lambda: stored(tmp_path, "380500000206")[0] == "submitted")


def test_a_duplicate_complaint_after_a_lost_answer_means_it_was_taken(tmp_path: Path) -> None:
    with running_sandbox(refuse_duplicates=True) as sandbox:
        with running_gateway(tmp_path, sandbox.url) as address:
            assert send(address, "99908000002").text == OK
            eventually(lambda: stored(tmp_path, "99908000002")[:2] == ("submitted", "accepted"))
            assert sandbox.summary()["messages"] == 1


def test_an_unanswered_call_is_repeated_with_the_same_id(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, {"timeout": 0.3}) as address:
        assert send(address, "99906000001").text == OK
        eventually(lambda: stored(tmp_path, "99906000001")[0] == "submitted")
        ids = [each["customerMessageId"] for each in sandbox.received]
        assert len(ids) == 2
        assert len(set(ids)) == 1


def test_the_help_page_variant(tmp_path: Path) -> None:
    with running_sandbox(shape="help-004") as sandbox:
        with running_gateway(tmp_path, sandbox.url, {"variant": "help-004"}) as address:
            assert send(address, ["380500000207", "380500000207"], sending_method="viber").text == OK
            assert [each["to"] for each in sandbox.received] == ["+380500000207"] * 2
            eventually(lambda: str(stored(tmp_path, "380500000207")[2]).startswith("m"))


@pytest.mark.parametrize(
    "credential",
    [
        {"key": "sandbox-key"},
        {"key": "sandbox-key", "key_in": "password"},
        {"key": None, "login": "sandbox", "password": "sandbox-password"},
    ],
)
def test_three_ways_to_authenticate(tmp_path: Path, credential: dict[str, Any]) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, credential) as address:
        assert send(address, "380500000208").text == OK


def test_viber_type_of_a_sender(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        with running_gateway(tmp_path, sandbox.url, senders={"Sender": {"viber": "viber_trans"}}) as address:
            send(address, "380500000209", sending_method="viber", dlr_timeout="3600")
            item = sandbox.received[0]
            assert (item["type"], item["ttl"]) == ("viber_trans", 3600)


def test_a_button_and_the_sms_instead(tmp_path: Path) -> None:
    """Also after a restart: the content comes back from the database."""
    smsbat = free_address()
    with running_gateway(tmp_path, f"http://{smsbat}", wait=0, sms_fallback={"sender": "SHOP", "ttl": 600}) as address:
        button = {"button_text": "Открыть", "button_link": "https://example.com/?a=1&b=2"}
        assert send(address, "380500000213", sending_method="viber", expiry_txt="short", **button).text == OK
        assert send(address, "380500000214", sending_method="viber", dlr_timeout="600").text == OK
        assert send(address, "380500000215").text == OK
    with running_sandbox(smsbat) as sandbox:
        with running_gateway(tmp_path, f"http://{smsbat}", sms_fallback={"sender": "SHOP", "ttl": 600}):
            eventually(lambda: len(sandbox.received) == 3)
    rich, plain, sms = sandbox.received
    instead = {"from": "SHOP", "type": "sms", "ttl": 600}
    assert rich["type"] == "viber_promo"
    assert rich["messageData"] == {"buttonText": "Открыть", "buttonAction": "https://example.com/?a=1&b=2"}
    assert rich["fallbacks"] == [instead | {"to": "380500000213", "text": "short"}]
    assert plain["fallbacks"] == [instead | {"to": "380500000214", "text": "hello"}]
    assert "messageData" not in plain
    assert {"fallbacks", "messageData", "ttl"}.isdisjoint(sms)


def test_a_delayed_message_waits_for_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the gateway is restarted meanwhile; a minute is a fraction of a second here."""
    monkeypatch.setattr("gateway.mapping.bindings.MINUTE", 600)
    with running_sandbox() as sandbox:
        with running_gateway(tmp_path, sandbox.url) as address:
            assert send(address, "380500000217", delay="3").text == OK
            assert send(address, "380500000216", delay="1").text == OK
            assert send(address, "380500000218").text == OK
            assert [each["to"] for each in sandbox.received] == ["380500000218"]
            eventually(lambda: len(sandbox.received) == 2)
        with running_gateway(tmp_path, sandbox.url):
            eventually(lambda: len(sandbox.received) == 3)
        assert [each["to"] for each in sandbox.received] == ["380500000218", "380500000216", "380500000217"]
        for phone, delay in (("380500000216", 600), ("380500000217", 1800)):
            accepted_at, settled_at = times(tmp_path, phone)
            assert delay <= settled_at - accepted_at < delay + 5000


def times(folder: Path, phone: str) -> tuple[int, int]:
    """When the message to a number was accepted and settled, in milliseconds."""
    with sqlite3.connect(folder / "gateway.db") as database:
        row = database.execute("SELECT accepted_at, settled_at FROM messages WHERE recipient = ?", (phone,)).fetchone()
    database.close()
    found: tuple[int, int] = row
    return found


def test_what_was_accepted_goes_on_after_a_restart(tmp_path: Path) -> None:
    address = free_address()
    with running_gateway(tmp_path, f"http://{address}", wait=0.1) as gateway:
        assert send(gateway, ["380500000210", "380500000211"]).text == OK
    with running_sandbox(address) as sandbox, running_gateway(tmp_path, f"http://{address}"):
        eventually(lambda: stored(tmp_path, "380500000211")[0] == "submitted")
        assert sorted(each["to"] for each in sandbox.received) == ["380500000210", "380500000211"]


def test_a_message_is_not_sent_after_its_time(tmp_path: Path) -> None:
    """An earlier life of the gateway may have sent it: so it counts as one of which nothing is known."""
    address = free_address()
    with running_gateway(tmp_path, f"http://{address}", wait=0.1) as gateway:
        assert send(gateway, "380500000212", dlr_timeout="60").text == OK
    with sqlite3.connect(tmp_path / "gateway.db") as database:
        database.execute("UPDATE messages SET expires_at = accepted_at")
    database.close()
    with running_sandbox(address) as sandbox, running_gateway(tmp_path, f"http://{address}"):
        eventually(lambda: stored(tmp_path, "380500000212")[0] == "unpaired")
        assert sandbox.received == []


def test_more_than_memory_holds_stays_on_disk_and_goes_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.outbound.backlog.ROOM", 8)
    monkeypatch.setattr("gateway.outbound.backlog.Backlog.__init__.__defaults__", (8,))
    address = free_address()
    phones = [f"38050003{number:04d}" for number in range(50)]
    with running_gateway(tmp_path, f"http://{address}", wait=0) as gateway:
        for phone in phones:
            assert send(gateway, phone).text == OK
        with running_sandbox(address) as sandbox:
            eventually(lambda: len(sandbox.received) == len(phones))
            assert sorted(each["to"] for each in sandbox.received) == phones
            assert send(gateway, "380500039999").text == OK
            eventually(lambda: len(sandbox.received) == len(phones) + 1)
            assert sandbox.summary()["doubles"] == 0


def test_a_get_with_the_vendors_example(setup: Setup) -> None:
    assert setup.exchange(get(signed(phone="79041231231", txt="hello"))).text == OK
