"""Reports and replies end to end: what SMSBAT says later reaches the partner's script, once, in its own form."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Address
from gateway.store.callbacks import CallbackState
from tests.support.process import command
from tests.support.raw import exchange, get, post, signed, urlencoded
from tests.support.servers import RunningSandbox, eventually, free_address, running_gateway, running_sandbox

HOOK = "hook-of-the-tests-0123"


@dataclass
class Partnership:
    """A gateway between a sandbox SMSBAT and the sandbox's stand-in partner."""

    address: Address
    sandbox: RunningSandbox
    folder: Path

    def send(self, phone: str, **parameters: Any) -> str:
        """Send with reports; returns the message's id."""
        given = {"txt": "hello", "dlr": "1", "sending_method": "viber", **parameters}
        return exchange(self.address, get(signed(phone=phone, **given))).message_ids[0][1]

    @property
    def told(self) -> list[str]:
        """What the script was told and took."""
        return [each["told"] for each in self.sandbox.told if each["answered"] == 200]

    def upstream_id(self, phone: str) -> str:
        return str(eventually(lambda: [each for each in self.sandbox.received if each["to"] == phone])[0]["messageId"])

    def hook(self, body: bytes, content_type: bytes = b"application/json", secret: str = HOOK) -> int:
        """SMSBAT tells something; returns the gateway's status."""
        return exchange(self.address, post(body, content_type, f"/hooks/{secret}".encode())).status

    def hook_json(self, **told: Any) -> int:
        return self.hook(json.dumps(told).encode())

    def hook_form(self, **told: str) -> int:
        return self.hook(urlencoded([*told.items()]), b"application/x-www-form-urlencoded")


@contextmanager
def partnership(
    folder: Path,
    script: str = "ok",
    hooked: bool = True,
    pace: float = 0.01,
    listen: Address | None = None,
    **callback: Any,
) -> Iterator[Partnership]:
    with running_sandbox(pace=pace, limited=False) as sandbox:
        account = {
            "callback": {"url": f"{sandbox.url}/partner/{script}", "private": True, **callback},
            **({"hook": HOOK} if hooked else {}),
        }
        with running_gateway(folder, sandbox.url, reports=account) as address:
            yield Partnership(address, sandbox, folder)


def delivery(
    message_id: str, status: str = "delivered", rest: str = "sending_method=viber", reference: str = ""
) -> str:
    return f"type=delivery&msg_id={message_id}&p_transaction_id={reference}&status={status}&{rest}"


def seen(message_id: str, reference: str = "") -> str:
    return f"type=seen&msg_id={message_id}&p_transaction_id={reference}&sending_method=viber"


# By webhook


def test_delivered_seen_replied(tmp_path: Path) -> None:
    with partnership(tmp_path) as partner:
        partner.sandbox.tell_hook(partner.address, HOOK)
        message = partner.send("99922000001", p_transaction_id="order/1 Ж")
        expected = [
            delivery(message, reference="order%2F1+%D0%96"),
            seen(message, "order%2F1+%D0%96"),
            f"type=reply&msg_id={message}&p_transaction_id=order%2F1+%D0%96&text=Re%3A+hello&sending_method=viber",
        ]
        eventually(lambda: len(partner.told) >= 3)
        assert partner.told == expected
        record = partner.sandbox.told[0]
        assert (record["method"], record["content_type"]) == ("POST", "application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    ("method", "script", "address"),
    [("POST", "ok", "/partner/ok"), ("GET", "ok", "/partner/ok"), ("GET", "ok/dlr.php?key=1", "/partner/ok/dlr.php")],
)
@pytest.mark.parametrize("format_", ["words", "numeric"])
def test_each_method_and_format(tmp_path: Path, method: str, script: str, address: str, format_: str) -> None:
    with partnership(tmp_path, script, method=method, format=format_) as partner:
        partner.sandbox.tell_hook(partner.address, HOOK)
        message = partner.send("99921000001", p_transaction_id="7")
        words = [delivery(message, reference="7"), seen(message, "7")]
        numeric = [f"msg_id={message}&p_transaction_id=7&status=0"]
        expected = words if format_ == "words" else numeric
        eventually(lambda: len(partner.told) >= len(expected))
        before = "key=1&" if "?" in script else ""
        assert partner.told == [before + each for each in expected]
        assert {(each["method"], each["path"]) for each in partner.sandbox.told} == {(method, address)}


def test_smsbats_own_shape_and_a_survey(tmp_path: Path) -> None:
    with partnership(tmp_path, format="smsbat-compat") as partner:
        message = partner.send("380500000401")
        assert partner.hook_form(msg_id=message, text="Так") == 200
        reply = {
            "msg_id": "in-1",
            "text": None,
            "media": "https://x/a.png",
            "phone": "380500000401",
            "sender_bm_id": "Sender",
        }
        assert partner.hook_json(**reply) == 200
        assert partner.hook_form(msg_id=message, status="delivered", type="seen") == 200
        eventually(lambda: len(partner.told) == 4)
        assert partner.told[0] == f"msg_id={message}&text=%D0%A2%D0%B0%D0%BA"
        assert json.loads(partner.told[1]) == reply
        assert partner.told[2:] == [
            f"msg_id={message}&status=delivered",
            f"msg_id={message}&status=delivered&type=seen",
        ]


def test_a_reply_to_a_sender_that_smsbat_calls_by_its_own_id(tmp_path: Path) -> None:
    """As its documentation shows it (seed 000); a name would be told apart, as other programs may send too."""
    with partnership(tmp_path) as partner:
        partner.send("380500000406", txt="older")
        message = partner.send("380500000406")
        asked = {"text": "Hello", "media": None, "phone": "380500000406", "sender_bm_id": "12345"}
        assert partner.hook_json(msg_id="in-1", **asked) == 200
        assert partner.hook_json(idUuid="in-2", alphaName="Other", phoneNumber="380500000406", text="No") == 200
        assert partner.hook_json(msg_id="in-3", **{**asked, "phone": "380500000499"}) == 200
        eventually(lambda: partner.told)
        assert partner.told == [f"type=reply&msg_id={message}&p_transaction_id=&text=Hello&sending_method=viber"]


def test_a_survey_answer_is_a_reply_in_words(tmp_path: Path) -> None:
    with partnership(tmp_path) as partner:
        message = partner.send("380500000402", p_transaction_id="s")
        assert [partner.hook_form(msg_id=message, text="Yes") for _ in range(2)] == [200, 200]
        eventually(lambda: partner.told)
        assert partner.told == [f"type=reply&msg_id={message}&p_transaction_id=s&text=Yes&sending_method=viber"]


def test_a_failure_and_its_reason(tmp_path: Path) -> None:
    with partnership(tmp_path) as partner:
        first, second = partner.send("380500000403"), partner.send("380500000404")
        sms = partner.send("380500000405", sending_method="sms")
        for phone in ("380500000403", "380500000405"):
            partner.hook_json(messageId=partner.upstream_id(phone), deliverystatus="undeliverable")
        partner.hook_form(msg_id=second, status="undelivered", status_extended="VIBER_NO_DEVICE")
        eventually(lambda: len(partner.told) == 3)
        viber = "status_extended={}&sending_method=viber"
        assert set(partner.told) == {
            delivery(first, "undelivered", viber.format("VIBER_UNKNOWN_ERROR")),
            delivery(second, "undelivered", viber.format("VIBER_NO_DEVICE")),
            delivery(sms, "undelivered", "sending_method=sms"),
        }


def test_duplicates_late_and_contradicting_reports_change_nothing(tmp_path: Path) -> None:
    with partnership(tmp_path, interim=True) as partner:
        message, upstream = partner.send("380500000406"), partner.upstream_id("380500000406")
        for word in ("scheduled", "processing", "processing", "delivered", "delivered", "undeliverable", "scheduled"):
            assert partner.hook_json(messageId=int(upstream), deliverystatus=word) == 200
        assert partner.hook_json(messageId=upstream, deliverystatus="READ") == 200
        eventually(lambda: len(partner.told) == 3)
        assert partner.told == [delivery(message, "in+process"), delivery(message), seen(message)]


def test_a_report_ahead_of_its_receipt_waits_for_it(tmp_path: Path) -> None:
    """SMSBAT is slow to answer the call, and quick to tell of it."""
    with partnership(tmp_path) as partner:
        before = len(partner.sandbox.received)
        assert partner.hook_json(messageId=str(1546807 + before + 1), deliverystatus="delivered") == 200
        message = partner.send("380500000407")
        eventually(lambda: partner.told == [delivery(message)])


def test_only_what_was_asked_for_is_told(tmp_path: Path) -> None:
    with partnership(tmp_path) as partner:
        partner.sandbox.tell_hook(partner.address, HOOK)
        raw = get(signed(phone="99921000002", txt="hello", sending_method="viber"))
        assert exchange(partner.address, raw).code == 0
        message = partner.send("99921000003")
        eventually(lambda: len(partner.told) == 2)
        assert partner.told == [delivery(message), seen(message)]


def test_the_leg_that_delivered(tmp_path: Path) -> None:
    with partnership(tmp_path) as partner:
        message, upstream = partner.send("380500000408"), partner.upstream_id("380500000408")
        fallbacks = [{"type": "sms", "status": "delivered"}]
        partner.hook_json(messageId=upstream, deliverystatus="delivered", extendedStatuses=[], fallbacks=fallbacks)
        eventually(lambda: partner.told == [delivery(message, rest="sending_method=sms")])


@pytest.mark.parametrize("is_stopped", [False, True])
def test_accepted_and_refused_later_is_told(is_stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of several phones is a success when SMSBAT takes one of them.

    The report is owed by the same transaction as the refusal, so also when the gateway ends before it answers.
    """
    if is_stopped:

        async def ended(*_: object) -> None: ...

        monkeypatch.setattr("gateway.outbound.reports.Reports.report_surely", ended)
    with partnership(tmp_path) as partner:
        raw = get(signed(phone=["380500000409", "99903000409"], txt="x", dlr="1", sending_method="viber"))
        ids = dict(exchange(partner.address, raw).message_ids)
        eventually(lambda: partner.told)
        rejected = "status_extended=PHONE_INCORRECT&sending_method="
        assert partner.told == [delivery(ids["99903000409"], "undelivered", rejected)]


def test_refused_after_the_client_stopped_waiting(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        callback = {"url": f"{sandbox.url}/partner/ok", "private": True}
        smsbat = free_address()
        with running_gateway(tmp_path, f"http://{smsbat}", reports={"callback": callback}, wait=0.1) as address:
            partner = Partnership(address, sandbox, tmp_path)
            message = partner.send("99903000410")
            with running_sandbox(smsbat):
                rejected = "status_extended=PHONE_INCORRECT&sending_method="
                eventually(lambda: partner.told == [delivery(message, "undelivered", rejected)])


def test_reports_of_other_software_under_the_same_login_keep_nobody_waiting(tmp_path: Path) -> None:
    with partnership(tmp_path) as partner:
        foreign = [{"messageId": f"foreign-{number}", "deliverystatus": "delivered"} for number in range(600)]
        assert partner.hook(json.dumps(foreign).encode()) == 200
        upstream = str(1546807 + len(partner.sandbox.received) + 1)
        assert partner.hook_json(messageId=upstream, deliverystatus="delivered") == 200
        message = partner.send("380500000419")
        eventually(lambda: partner.told == [delivery(message)])


def test_a_report_by_our_own_id_before_the_receipt_is_the_end_of_asking(tmp_path: Path) -> None:
    """SMSBAT took the call and its answer was lost; the webhook is quicker than the next try."""
    with partnership(tmp_path, hooked=True) as partner:
        raw = get(signed(phone="99908000420", txt="hello", dlr="1", sending_method="viber"))
        sent: list[str] = []
        client = threading.Thread(target=lambda: sent.append(exchange(partner.address, raw).message_ids[0][1]))
        client.start()
        item = eventually(lambda: [each for each in partner.sandbox.received if each["to"] == "99908000420"])[0]
        assert partner.hook_form(msg_id=item["customerMessageId"], status="delivered") == 200
        client.join()
        eventually(lambda: partner.told == [delivery(sent[0])])
        with sqlite3.connect(tmp_path / "gateway.db") as database:
            query = "SELECT state, status, check_at FROM messages"
            eventually(lambda: database.execute(query).fetchone() == ("submitted", "delivered", None))
        database.close()


# The hook's door


def test_a_hook_admits_only_its_secret_and_its_networks(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        account = {"hook": HOOK, "hook_from": ["203.0.113.0/24"], "callback": {"url": "https://example.com/"}}
        with running_gateway(tmp_path, sandbox.url, reports=account) as address:
            partner = Partnership(address, sandbox, tmp_path)
            assert partner.hook_json(messageId=1, deliverystatus="delivered") == 403
            assert partner.hook(b"{}", secret="another-secret-0123") == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[1]", 400),
        (b"{}", 400),
        (b"", 400),
        (b'{"deliverystatus": "delivered"}', 400),
        (b"a=1&b=2", 400),
        (b"\xff\xfe", 400),
        (b'{"messageId": 1, "deliverystatus": "something new"}', 200),
        (b'[{"messageId": 1, "deliverystatus": "delivered"}]', 200),
        (b'\xef\xbb\xbf{"messageId": 1, "deliverystatus": "delivered"}', 200),
        (b'[{"messageId": 1, "deliverystatus": "delivered"}, {"ping": 1}, {}]', 200),
        (b'{"messageId": ' + b"[" * 900 + b"]" * 900 + b', "deliverystatus": "delivered"}', 400),
        (b"[" + b",".join([b'{"messageId": 1, "deliverystatus": "delivered"}'] * 1001) + b"]", 400),
        (b'{"idUuid": "u-1", "alphaName": "Nobody", "phoneNumber": "1", "text": "hi"}', 200),
    ],
)
def test_whatever_a_hook_is_told(shared: Partnership, body: bytes, status: int) -> None:
    assert shared.hook(body) == status


def test_a_hook_is_called_by_post(shared: Partnership) -> None:
    raw = f"GET /hooks/{HOOK} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    assert exchange(shared.address, raw).status == 405


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partnership]:
    with partnership(tmp_path_factory.mktemp("shared")) as partner:
        yield partner


def test_replies_are_tied_to_the_newest_message_of_sender_and_number(shared: Partnership) -> None:
    first = shared.send("380500000411")
    second = shared.send("380500000411", p_transaction_id="new")
    shared.send("380500000411", from_="Other")
    reply = {"alphaName": "Sender", "phoneNumber": "+380500000411", "text": "Дякую & до побачення"}
    for _ in range(2):
        assert shared.hook_json(idUuid="reply-1", dt="2025-01-20T14:30:00.000Z", **reply) == 200
    eventually(lambda: [each for each in shared.told if "type=reply" in each])
    told = [each for each in shared.told if "type=reply" in each]
    text = "%D0%94%D1%8F%D0%BA%D1%83%D1%8E+%26+%D0%B4%D0%BE+%D0%BF%D0%BE%D0%B1%D0%B0%D1%87%D0%B5%D0%BD%D0%BD%D1%8F"
    assert told == [f"type=reply&msg_id={second}&p_transaction_id=new&text={text}&sending_method=viber"]
    assert first != second


def test_a_reply_that_answers_nothing_is_kept_and_shown(shared: Partnership) -> None:
    told = {"idUuid": "lost-1", "alphaName": "Unknown", "phoneNumber": "380509999999", "text": "who are you?"}
    assert shared.hook_json(**told) == 200
    database = f"sqlite:///{shared.folder / 'gateway.db'}"
    shown = command("replies", "--unmatched", GATEWAY_DATABASE=database)
    assert (shown.returncode, "who are you?" in shown.stdout, "none known" in shown.stdout) == (0, True, True)


# By asking


def test_without_a_hook_smsbat_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.outbound.checks.FIRST", 50)
    with partnership(tmp_path, hooked=False, pace=0.2) as partner:
        message = partner.send("380500000412")
        eventually(lambda: partner.told == [delivery(message)])
        failed = partner.send("99901000412", sending_method="sms")
        eventually(lambda: partner.told[1:] == [delivery(failed, "undelivered", "sending_method=sms")])


def test_ten_thousand_messages_to_ask_about_stay_within_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never over 50 reads in any second; messages without a reader, or with a webhook, are not asked about."""
    monkeypatch.setattr("gateway.outbound.checks.FIRST", 50)
    phones = [f"3805{number:08d}" for number in range(10_000)]
    with partnership(tmp_path, hooked=False, pace=1000.0) as partner:
        body = urlencoded(signed(phone=phones, txt="hello", dlr="1"))
        assert exchange(partner.address, post(body)).code == 0
        assert exchange(partner.address, get(signed(phone="380511111111", txt="hello"))).code == 0
        eventually(lambda: len(partner.sandbox.reads) >= 150)
        reads = partner.sandbox.reads
        assert max(sum(at <= each < at + 1.0 for each in reads) for at in reads) <= 50
    with partnership(tmp_path / "hooked") as partner:
        partner.send("380500000413")
        time_of_a_look = time.monotonic() + 1.5
        eventually(lambda: time.monotonic() > time_of_a_look)
        assert partner.sandbox.reads == []


# Scripts in trouble


def test_a_script_in_trouble_is_told_until_it_takes_it_and_in_order(tmp_path: Path) -> None:
    schedule = {"steps": [{"minutes": 0.001}], "give_up": 10}
    with partnership(tmp_path, "flaky-2", schedule=schedule) as partner:
        partner.sandbox.tell_hook(partner.address, HOOK)
        message = partner.send("99921000004")
        eventually(lambda: len(partner.told) == 2)
        assert [each["told"] for each in partner.sandbox.told] == [delivery(message)] * 3 + [seen(message)] * 3


@pytest.mark.parametrize(("script", "state"), [("404", "refused"), ("400", "refused")])
def test_a_script_that_wants_no_more(tmp_path: Path, script: str, state: str) -> None:
    with partnership(tmp_path, script) as partner:
        partner.sandbox.tell_hook(partner.address, HOOK)
        partner.send("380500000414")
        database = f"sqlite:///{partner.folder / 'gateway.db'}"
        eventually(lambda: state in command("callbacks", "list", GATEWAY_DATABASE=database).stdout)
        assert len(partner.sandbox.told) == 1


def test_a_dead_letter_is_listed_and_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.outbound.callbacks.LONGEST_PAUSE", 0.5)
    schedule = {"steps": [{"minutes": 0.001, "times": 2}], "give_up": 10}
    with partnership(tmp_path, "500", schedule=schedule) as partner:
        partner.sandbox.tell_hook(partner.address, HOOK)
        message = partner.send("380500000415")
        database = f"sqlite:///{partner.folder / 'gateway.db'}"

        def listed(state: CallbackState) -> str:
            return command("callbacks", "list", "--state", state, GATEWAY_DATABASE=database).stdout

        eventually(lambda: message in listed(CallbackState.DEAD))
        assert "HTTP 500" in listed(CallbackState.DEAD)
        assert len(partner.sandbox.told) == 3
        none = command("callbacks", "retry", "999", GATEWAY_DATABASE=database).stdout
        assert none.splitlines()[-1] == "The others are still pending, were taken, or are not known."
        again = command("callbacks", "retry", "--all", GATEWAY_DATABASE=database)
        assert (again.returncode, "1 callback(s)" in again.stdout) == (0, True)
        eventually(lambda: len(partner.sandbox.told) == 6)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with partnership(tmp_path, "redirect") as partner:
        partner.sandbox.tell_hook(partner.address, HOOK)
        partner.send("380500000416")
        eventually(lambda: partner.sandbox.told)
        assert Counter(each["path"] for each in partner.sandbox.told) == {"/partner/redirect": 1}


def test_an_address_that_is_not_public_is_never_dialled(tmp_path: Path) -> None:
    with partnership(tmp_path, private=False) as partner:
        partner.sandbox.tell_hook(partner.address, HOOK)
        partner.send("380500000417")
        database = f"sqlite:///{partner.folder / 'gateway.db'}"
        eventually(lambda: "address refused" in command("callbacks", "list", GATEWAY_DATABASE=database).stdout)
        assert partner.sandbox.told == []


def test_the_sandbox_tells_on_demand(shared: Partnership) -> None:
    message, upstream = shared.send("380500000418"), shared.upstream_id("380500000418")
    shared.sandbox.tell_hook(shared.address, HOOK)
    body = json.dumps({"messageId": upstream, "deliverystatus": "permanenterror"}).encode()
    with urllib.request.urlopen(f"{shared.sandbox.url}/sandbox/tell", body) as answer:
        assert json.load(answer) == {"answered": 200}
    failed = delivery(message, "undelivered", "status_extended=VIBER_UNKNOWN_ERROR&sending_method=viber")
    eventually(lambda: failed in shared.told)
    shared.sandbox.sandbox.teller.hook = None
