"""sms.by as its clients call it: raw requests in, exact answers out."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Address
from tests.conftest import Setup
from tests.support.raw import exchange
from tests.support.servers import RunningSandbox, eventually, running_gateway, running_sandbox
from tests.support.smsby import call, post_json, result

CAPTURES = Path(__file__).parent / "captures" / "smsby"
HOOK = "hook-of-the-sms-by-tests"
NO_NAME = (
    '{"error":"\\u043e\\u0448\\u0438\\u0431\\u043a\\u0430 \\u0432 \\u0431\\u0443\\u043a\\u0432\\u0435\\u043d\\u043d'
    '\\u043e\\u043c \\u0438\\u043c\\u0435\\u043d\\u0438"}'
)
BALANCE = '{"status":"OK","currency":"BYN","result":[{"balance":"2.86600","viber_balance":"0.00000"}]}'
ALPHANAMES = '{"0":"System name (SMS.by)","123":"Shop","1363":"VasheImya"}'
TEXTS = (
    r'{"result":\[({"message_id":[0-9]+,"message":"[^"]*(\\"[^"]*)*","parts":1,"d_create":"[0-9 :-]{19}",'
    r'"status":"moderated"},?)+\]}'
)
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
NAME_FAULT = "ошибка в буквенном имени"
#: Ids that the captured requests name, which are stand-ins.
STAND_INS = {"message_id": (b"2604834", b"49409"), "sms_id": (b"2204968",), "password_object_id": (b"243", b"123")}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """A gateway that SMSBAT tells what becomes of messages."""
    with running_sandbox(limited=False, pace=0.02) as sandbox:
        folder = tmp_path_factory.mktemp("smsby")
        with running_gateway(folder, sandbox.url, reports={"hook": HOOK}) as address:
            sandbox.tell_hook(address, HOOK)
            yield Setup(address, sandbox)


def test_a_body_that_is_cut_at_its_quotes(setup: Setup) -> None:
    """A client finds the figures by counting quotes."""
    pieces = call(setup.address, "getBalance").text.split('"')
    assert (pieces[13], pieces[17]) == ("2.86600", "0.00000")


# The captured requests, byte for byte; where they name an id that somebody gave them, one of ours.


@pytest.fixture(scope="module")
def ids(setup: Setup) -> dict[str, bytes]:
    """For each token, ids are one account's: all of these belong to the captures' ``TESTTOKEN``."""
    text = call(setup.address, "createSmsMessage", message="Тест").json["message_id"]
    password = result(call(setup.address, "createPasswordObject", type_id="both", len=5))["password_object_id"]
    sms = call(setup.address, "sendSms", message_id=text, phone="375291234567").json["sms_id"]
    return {"message_id": b"%d" % text, "sms_id": b"%d" % sms, "password_object_id": b"%d" % password}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("vendor-php-01-getBalance", BALANCE),
        ("vendor-php-02-getLimit", '{"limit":141}'),
        (
            "vendor-php-03-createSmsMessage",
            r'{"status":"ok","parts":1,"len":23,"message_id":[0-9]+,"alphaname":"Shop","time":0}',
        ),
        ("vendor-php-04-checkSMSMessageStatus", '{"status":"moderated","parts":1,"alphaname":"system"}'),
        (
            "vendor-php-05-getMessagesList",
            TEXTS,
        ),
        ("vendor-php-06-sendSms", r'{"sms_id":[0-9]+,"status":"NEW"}'),
        ("vendor-php-07-sendQuickSms", r'{"sms_id":[0-9]+,"status":"NEW","parts":1}'),
        ("vendor-php-08-checkSMS", r'{"sms_id":[0-9]+,"sent":0,"delivered":0,"status":"NEW"}'),
        ("vendor-php-09-createPasswordObject", r'{"result":{"password_object_id":[0-9]+}}'),
        (
            "vendor-php-10-sendSmsMessageWithCode",
            r'{"status":"ok","parts":1,"len":17,"sms_id":[0-9]+,"code":"[A-Z0-9]{5}"}',
        ),
        ("vendor-php-11-getAlphanames", ALPHANAMES),
        ("vendor-php-12-getAlphanameId", '{"id":1363}'),
        ("vendor-php-13-getVibernames", '{"444":"MyViber"}'),
        ("vendor-python-01-sendQuickSms", r'{"sms_id":[0-9]+,"status":"NEW","parts":1}'),
        ("vendor-python-02-getBalance", BALANCE),
        ("vendor-python-03-getLimit", '{"limit":141}'),
        ("vendor-python-04-getAlphanames", ALPHANAMES),
        ("vendor-python-05-getAlphanames", ALPHANAMES),
        (
            "vendor-python-06-createSmsMessage",
            r'{"status":"ok","parts":1,"len":4,"message_id":[0-9]+,"alphaname":"Shop","time":0}',
        ),
        ("vendor-python-07-checkSMSMessageStatus", '{"status":"moderated","parts":1,"alphaname":"system"}'),
        ("vendor-python-09-sendSms", r'{"sms_id":[0-9]+,"status":"NEW"}'),
        ("vendor-python-10-checkSMS", r'{"sms_id":[0-9]+,"sent":0,"delivered":0,"status":"NEW"}'),
        ("vendor-python-11-createPasswordObject", r'{"result":{"password_object_id":[0-9]+}}'),
        (
            "vendor-python-12-sendSmsMessageWithCode",
            r'{"status":"ok","parts":1,"len":17,"sms_id":[0-9]+,"code":"[A-Z0-9]{5}"}',
        ),
        ("vendor-python-examples-01-getBalance", BALANCE),
        ("vendor-python-examples-02-getLimit", '{"limit":141}'),
        (
            "vendor-python-examples-03-createSmsMessage",
            r'{"status":"ok","parts":1,"len":39,"message_id":[0-9]+,"alphaname":"system","time":0}',
        ),
        ("vendor-python-examples-04-sendSms", '{"error":"incorrect phone number"}'),
        ("vendor-python-examples-05-createPasswordObject", r'{"result":{"password_object_id":[0-9]+}}'),
        (
            "vendor-python-examples-06-getPasswordObjects",
            r'{"result":\[{"id":[0-9]+,"type_id":"both","len":10,"d_create":"[0-9 :-]{19}"}\]}',
        ),
        ("vendor-python-examples-07-sendSmsMessageWithCode", '{"error":"incorrect phone number"}'),
        ("vendor-node-01-sendQuickSMS", '{"error":"incorrect phone number"}'),
    ],
)
def test_captured_requests(setup: Setup, ids: dict[str, bytes], name: str, answer: str) -> None:
    raw = (CAPTURES / f"{name}.req").read_bytes()
    for parameter, stand_ins in STAND_INS.items():
        for stand_in in stand_ins:
            prefix = parameter.encode() + b"="
            raw = re.sub(rb"\b%b%b\b" % (prefix, stand_in), prefix + ids[parameter], raw)
    response = setup.exchange(raw)
    assert response.headers["content-type"] == "application/json"
    assert response.text == answer or re.fullmatch(answer, response.text), response.text
    assert response.status == (400 if "error" in answer else 200)


def test_ids_that_nobody_gave_out(setup: Setup) -> None:
    for name in ("vendor-php-04-checkSMSMessageStatus", "vendor-php-06-sendSms", "vendor-php-08-checkSMS"):
        response = setup.exchange((CAPTURES / f"{name}.req").read_bytes())
        assert (response.status, response.text) == (404, '{"error":"not found"}')


# One fault each, under both versions.


@pytest.mark.parametrize(
    ("method", "parameters", "status", "text"),
    [
        ("getBalance", {"token": "TESTTOKEN2"}, 403, "token is invalid"),
        ("sendQuickSMS", {"message": "Hi", "phone": "12345"}, 400, "incorrect phone number"),
        ("sendQuickSMS", {"message": "Hi"}, 400, "incorrect phone number"),
        ("sendQuickSMS", {"phone": "12345"}, 400, "incorrect parameter message"),
        (
            "sendQuickSMS",
            {"message": "Hi", "phone": "375291234567", "alphaname_id": 5},
            400,
            "ошибка в буквенном имени",
        ),
        ("sendQuickViberMessage", {"message": "Hi", "phone": "375291234567"}, 400, NAME_FAULT),
        ("sendQuickSMS", {"message": "x" * 1531, "phone": "375291234567"}, 400, "Message is too long"),
        (
            "sendQuickViberMessage",
            {"vibername_id": 444, "message": "x" * 1001, "phone": "375291234567"},
            400,
            "Message is too long",
        ),
        (
            "sendQuickViberMessage",
            {"vibername_id": 444, "type_message": "IMAGE", "phone": "375291234567"},
            400,
            "incorrect parameter image_url",
        ),
        (
            "sendQuickViberMessage",
            {"vibername_id": 444, "type_message": "VIDEO", "message": "Hi", "phone": "375291234567"},
            400,
            "incorrect parameter type_message",
        ),
        (
            "sendQuickSMS",
            {"message": "Hi", "phone": "375291234567", "forwarding_message": 1, "forwarding_time": 4},
            400,
            "incorrect parameter forwarding_time",
        ),
        ("checkSMS", {"sms_id": 2147483000}, 404, "not found"),
        ("getViberDeliveryData", {"message_id": 2147483000}, 404, "not found"),
        ("getViberDeliveryList", {"message_id": 2147483000}, 404, "not found"),
        ("confirmViberMessage", {"message_id": 2147483000}, 404, "not found"),
        ("getNewIncomingMessages", {"message_id": 2147483000}, 404, "not found"),
        ("statusBulkViber", {"uuid": "cc9c8043-8caf-11ef-b035-9e8f47954dec"}, 404, "not found"),
        ("getAlphanameId", {"name": "Nobody"}, 400, NAME_FAULT),
        ("createPasswordObject", {"type_id": "both", "len": 0}, 400, "len value must be beetwen 1 and 16"),
        ("sendBulkViber", {"messages": "none"}, 400, "incorrect parameter messages"),
        ("getBills", {}, 404, "not found"),
        # SMSBAT refuses what it is sent, in its various ways.
        ("sendQuickSMS", {"message": "Hi", "phone": "999040000001"}, 400, "incorrect phone number"),
        ("sendQuickSMS", {"message": "Hi", "phone": "999100000001"}, 400, "billing error"),
        ("sendQuickSMS", {"message": "Hi", "phone": "999110000001"}, 500, "undefined error"),
        ("sendQuickSMS", {"message": "Hi", "phone": "999120000001"}, 500, "undefined error"),
    ],
)
def test_faults(setup: Setup, method: str, parameters: dict[str, Any], status: int, text: str) -> None:
    escaped = text.encode("unicode_escape").decode()
    for version, body in (("v1", f'{{"error":"{escaped}"}}'), ("v2", f'{{"status":"ERROR","error":"{escaped}"}}')):
        response = call(setup.address, method, **{"version": version, **parameters})
        assert (response.status, response.text) == (status, body)
        assert response.headers["content-type"] == "application/json"


def test_over_the_limit_and_smsbat_down(tmp_path: Path) -> None:
    slow: dict[str, Any] = {"rate": {"per_second": 0.001, "burst": 1}, "on_timeout": "refuse", "wait": 0.2}
    with running_gateway(tmp_path, "http://127.0.0.1:9", **slow) as address:
        down = call(address, "sendQuickSMS", message="Hi", phone="375291234567")
        assert (down.status, down.text) == (500, '{"error":"undefined error"}')
        for version, body in (
            ("v1", '{"error":"limit excided"}'),
            ("v2", '{"status":"ERROR","error":"limit excided"}'),
        ):
            over = call(address, "sendQuickSMS", version=version, message="Hi", phone="375291234567")
            assert (over.status, over.text) == (429, body)


# The manner


def test_a_pluss_that_nobody_escaped(tmp_path: Path) -> None:
    """Three of the vendor's samples put the token into the address as it is."""
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url) as address:
        raw = b"POST /api/v1/getLimit?token=PAST+YOUR%20API%2BKEY HERE HTTP/1.1\r\nHost: x\r\n\r\n"
        assert exchange(address, raw).json == {"limit": 141}


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /api/v1/sendQuickSMS?token=TESTTOKEN&message=%D0%9A&phone=375291234567 HTTP/1.1\r\n",
        b"POST /api/v1/sendQuickSMS?token=TESTTOKEN&message=%D0%9A&phone=375291234567 HTTP/1.1\r\nAccept: */*\r\n",
        b"POST /api/v1/sendquicksms/?token=TESTTOKEN&message=%D0%9A&phone=+375%2029%20123-45-67 HTTP/1.1\r\n",
        "GET //api//V2//SENDQUICKSMS//?token=TESTTOKEN&message=К&phone=%20375291234567 HTTP/1.1\r\n".encode(),
        b"GET /api/v2/sendQuickSms?token=TESTTOKEN&message=%D0%9A&phone=00375(29)1234567 HTTP/1.1\r\nAccept: a/xml\r\n",
    ],
)
def test_all_in_the_query(setup: Setup, raw: bytes) -> None:
    response = setup.exchange(raw + b"Host: app.sms.by\r\n\r\n")
    assert re.fullmatch(r'{"sms_id":[0-9]+,"status":"NEW","parts":1}', response.text), response.text
    assert setup.sandbox.received[-1]["to"] == "375291234567"
    assert setup.sandbox.received[-1]["text"] == "К"


#: A blank text part where a picture would be counts as not sent.
PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="phone"\r\n\r\n375291234567\r\n'
    b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n\r\n--b--\r\n'
)
FORM = b"application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("target", "content_type", "body"),
    [
        (b"", FORM, b"message=Hi&phone=375291234567&token=TESTTOKEN"),
        (b"?token=wrong&phone=1", FORM, b"message=Hi&phone=375291234567&token=TESTTOKEN"),
        (b"?token=TESTTOKEN&message=Hi&phone=375291234567", FORM, b"message=&phone="),
        (b"?token=TESTTOKEN&message=Hi&phone=375291234567", b"multipart/form-data; boundary=b", b"--b--\r\n"),
        (
            b"?token=TESTTOKEN&message=Hi",
            b"multipart/form-data; boundary=b",
            PARTS,
        ),
        (b"", b"application/json", b'{"token":"TESTTOKEN","message":"Hi","phone":375291234567,"unknown":{"a":[1]}}'),
    ],
)
def test_bodies(setup: Setup, target: bytes, content_type: bytes, body: bytes) -> None:
    head = b"POST /api/v1/sendQuickSMS%b HTTP/1.1\r\nHost: app.sms.by\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    response = setup.exchange(head % (target, content_type, len(body)) + body)
    assert response.json["status"] == "NEW", response.text


def test_a_body_that_does_not_parse_counts_as_empty(setup: Setup) -> None:
    body = b'{"token":"TESTTOKEN"'
    head = b"POST /api/v2/getLimit HTTP/1.1\r\nHost: app.sms.by\r\nContent-Type: application/json\r\nContent-Length: %d"
    response = setup.exchange(head % len(body) + b"\r\n\r\n" + body)
    assert (response.status, response.text) == (403, '{"status":"ERROR","error":"token is invalid"}')


@pytest.mark.parametrize(
    "target", [b"/", b"/remote-api/x", b"/api/v3/getBalance", b"/index.php", b"/api/v1", b"/api/v1/"]
)
def test_every_other_path_of_its_host(setup: Setup, target: bytes) -> None:
    response = setup.exchange(b"GET %b HTTP/1.1\r\nHost: app.sms.by\r\n\r\n" % target)
    assert (response.status, response.text) == (404, '{"error":"not found"}')


def test_an_address_of_sixty_kilobytes(setup: Setup) -> None:
    number = result(call(setup.address, "createSubscriberList", name="Long"))["list_id"]
    rows = {f"data[{i}][0]": f"375291{i:06d}" for i in range(500)} | {"field_names[]": "phone", "x": "y" * 40_000}
    imported = result(call(setup.address, "importContacts", list_id=number, **rows))
    assert imported == {"inserted": 500, "updated": 0, "invalid": 0, "log": []}


def test_another_brand_is_an_account_setting(tmp_path: Path) -> None:
    brand = {"hosts": ["api.brand.example"]}
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, smsby=brand) as address:
        raw = b"GET /nowhere HTTP/1.1\r\nHost: api.brand.example\r\n\r\n"
        assert exchange(address, raw).text == '{"error":"not found"}'


# Stories


def stage(setup: Setup, mailing: int) -> list[str]:
    return [each["status"] for each in result(call(setup.address, "getViberDeliveryList", message_id=mailing))]


def contacts(address: Address, number: int, fields: list[str], rows: list[list[str]]) -> dict[str, Any]:
    document = {"list_id": str(number), "field_names": fields, "data": rows}
    imported: dict[str, Any] = result(post_json(address, "importContacts", document))
    return imported


def test_a_list_a_mailing_a_reply(told: Setup) -> None:
    address = told.address
    number = result(call(address, "createSubscriberList", name="Customers"))["list_id"]
    contacts = {"data": [["+999 22 0000001", "Anna"], ["none", "Boris"], ["999210000002", "Vera"]]}
    imported = result(
        post_json(address, "importContacts", {"list_id": number, "field_names": ["phone", "name"], **contacts})
    )
    assert imported == {
        "inserted": 2,
        "updated": 0,
        "invalid": 1,
        "log": [{"index": 1, "error_message": "incorrect phone number"}],
    }
    assert {"list_id": number, "name": "Customers", "count": 2} in result(call(address, "getSubscriberLists"))
    again = result(
        post_json(
            address, "importContacts", {"list_id": str(number), "field_names": ["phone"], "data": [["999210000002"]]}
        )
    )
    assert (again["inserted"], again["updated"]) == (0, 1)

    created = call(address, "sendViberMessageList", version="v2", vibername_id=444, list_id=number, message="News")
    assert result(created)["count_subscribers"] == 2
    mailing = result(created)["message_id"]
    assert stage(told, mailing) == ["NEW", "NEW"]
    assert result(call(address, "getViberMessageData", message_id=mailing))["status"] == "NEW"
    assert not [each for each in told.sandbox.received if each["text"] == "News"]

    assert call(address, "confirmViberMessage", message_id=mailing).text == '{"status":"OK"}'
    assert call(address, "confirmViberMessage", message_id=mailing).text == '{"status":"OK"}'
    eventually(lambda: len(_unread(told, mailing)) == 1)
    seen = [stage(told, mailing), stage(told, mailing)]
    assert seen == [["SENT", "SENT"], ["READ", "READ"]]
    assert len([each for each in told.sandbox.received if each["text"] == "News"]) == 2
    assert result(call(address, "getViberMessageData", message_id=mailing))["status"] == "SENT"

    reply = _unread(told, mailing)[0]
    assert (reply["phone"], reply["message"]) == ("999220000001", "Re: News")
    marked = call(address, "readResponseStatus", incoming_messages=f"{reply['id']}, 99999,x")
    assert marked.text == '{"status":"OK","result":"Number of flagged messages: 1"}'
    assert _unread(told, mailing) == []
    assert call(address, "readResponseStatus", incoming_messages=reply["id"]).json["result"].endswith(": 0")


def _unread(setup: Setup, mailing: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = result(call(setup.address, "getNewIncomingMessages", message_id=mailing))
    return found


def test_sent_is_seen_once_before_the_end(told: Setup) -> None:
    """A loop in use waits for exactly that."""
    sent = call(
        told.address, "sendQuickViberMessage", version="v2", vibername_id=444, phone="999010000001", message="Hi"
    )
    number = result(sent)["message_id"]
    shown = [result(call(told.address, "getViberDeliveryData", message_id=number))["status"]]
    while shown[-1] != "UNDELIVERED":
        shown.append(result(call(told.address, "getViberDeliveryData", message_id=number))["status"])
    assert list(dict.fromkeys(shown)) == ["NEW", "SENT", "UNDELIVERED"]
    assert result(call(told.address, "getViberDeliveryData", message_id=number))["error_code"] == 1


def test_the_times_of_an_sms(told: Setup) -> None:
    text = call(told.address, "createSmsMessage", message="Hi", alphaname_id=1363).json["message_id"]
    number = call(told.address, "sendSms", message_id=text, phone="375290000077").json["sms_id"]
    checked = eventually(lambda: _delivered(told, number)) or {}
    assert time.time() - 60 < checked["sent"] <= checked["delivered"] <= time.time() + 1
    listed = result(call(told.address, "getSmsDeliveryList", message_id=text))
    assert [(each["phone"], each["status"]) for each in listed] == [(375290000077, "delivered")]
    assert told.sandbox.received[-1]["from"] == "VasheImya"


def _delivered(setup: Setup, number: int) -> dict[str, Any] | None:
    checked: dict[str, Any] = call(setup.address, "checkSMS", sms_id=number).json
    assert (checked["sent"], checked["delivered"]) == (0, 0) or checked["status"] != "NEW"
    return checked if checked["status"] == "DELIVERED" else None


def five_lists(callback: str) -> dict[str, Any]:
    """The seed's sample; of its five lists, two are made faulty as its answer shows them."""
    image, action = "https://example-site.com/images/image.jpg", "https://example-site.com/some_action"
    own = [("375291111111", 1), ("375292222222", 2)]
    personal = [{"phone": phone, "text": f"personal {i}", "button_link": f"{action}/{i}"} for phone, i in own]
    phones = ["375291111111", "375292222222"]

    def entry(number: int, kind: str, content: dict[str, str], delivery: list[Any]) -> dict[str, Any]:
        common = {"alphaname_id": "444", "name": f"mailing list {number}", "message_type": kind}
        return {**common, "schedule_time": "2024-10-30T22:56:00", "content": content, "delivery_list": delivery}

    button = {"type": "button", "image_url": image, "caption": "Push me"}
    return {
        "callback_url": callback,
        "messages": [
            entry(1, "personal", button, personal),
            entry(2, "personal", {"type": "text"}, personal),
            entry(3, "bulk", {**button, "image_url": "image.jpg", "button_link": action, "text": "text 3"}, phones),
            entry(4, "personal", {"type": "image", "image_url": image}, personal),
            entry(5, "bulk", {"type": "image", "image_url": image}, [*phones, "not a number"]),
        ],
    }


def test_the_seeds_five_lists_two_of_which_are_faulty(told: Setup) -> None:
    sandbox: RunningSandbox = told.sandbox
    before = len(sandbox.received)
    taken = post_json(told.address, "sendBulkViber", five_lists(f"{sandbox.url}/partner/ok/bulk"))
    assert re.fullmatch(
        r'{"uuid":"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","success":"OK"}', taken.text
    )
    callback = eventually(lambda: [each for each in sandbox.told if each["path"] == "/partner/ok/bulk"])[0]
    assert callback["content_type"] == "application/json"

    status = call(told.address, "statusBulkViber", uuid=taken.json["uuid"])
    lists = status.json
    assert [each.get("name") for each in lists] == ["mailing list 1", "mailing list 2", None, None, "mailing list 5"]
    assert lists[2] == {"errors": ["mailing list 3: Content url is not valid"]}
    assert lists[3] == {"errors": ["mailing list 4: incorrect parameter content"]}
    assert list(lists[0]) == ["message_id", "name", "alphaname_id", "success"]
    assert lists[0]["alphaname_id"] == 444
    entry = lists[4]["success"][2]
    assert (entry["phone"], entry["status"]) == ("not a number", "UNDELIVERED")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", entry["status_time"])
    assert {each["status"] for each in lists[0]["success"]} == {"SENT"}

    told_of = callback["told"]
    assert '"status":"DELIVERED"' in told_of
    assert call(told.address, "statusBulkViber", uuid=taken.json["uuid"]).text == told_of
    sent = sandbox.received[before:]
    assert sorted(each["text"] for each in sent if "text" in each) == 2 * ["personal 1"] + 2 * ["personal 2"]
    links = {each["messageData"].get("buttonAction") for each in sent if "messageData" in each}
    assert links == {None, "https://example-site.com/some_action/1", "https://example-site.com/some_action/2"}


def test_a_callback_goes_only_to_addresses_of_the_world(tmp_path: Path) -> None:
    with running_sandbox(pace=0.01) as sandbox:
        with running_gateway(tmp_path, sandbox.url, smsby={"private_callbacks": False}) as address:
            nobody = {"name": "a", "alphaname_id": 444, "content": {"text": "Hi"}, "delivery_list": ["none"]}
            lists = {"messages": [nobody], "callback_url": f"{sandbox.url}/partner/ok/private"}
            assert post_json(address, "sendBulkViber", lists).json["success"] == "OK"
            outcome = eventually(lambda: _rows(tmp_path, "SELECT outcome FROM callbacks WHERE outcome IS NOT NULL"))
        assert "address" in outcome[0][0]
        assert sandbox.told == []


def test_a_mailing_waits_for_its_time(told: Setup) -> None:
    number = result(call(told.address, "createSubscriberList", name="Later"))["list_id"]
    call(told.address, "importContacts", list_id=number, **{"field_names[]": "phone", "data[0][]": "375290000055"})
    later = time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + 3 * 3600 + 7200))
    created = call(told.address, "sendSmsList", list_id=number, message="Later", d_schedule=later)
    mailing = result(created)["message_id"]
    listed = result(call(told.address, "getSmsDeliveryList", message_id=mailing))
    assert listed == [{"phone": 375290000055, "status": "new", "d_sent": ""}]
    assert not [each for each in told.sandbox.received if each["to"] == "375290000055"]


# Codes


def test_a_flash_call_and_its_code(setup: Setup) -> None:
    called = call(setup.address, "flashCall", phone="+375 25 1234567", attempt=2, time_valid=60).json["data"]
    assert (called["phone"], called["time_valid"], called["attempt"]) == ("375251234567", "60", 2)
    item = setup.received("375251234567")
    assert (item["type"], item["from"], item["text"]) == ("flashcall", "FLASHCALL", called["code"])
    answers = {"phone": called["phone"], "fclid": called["fclid"]}
    wrong = call(setup.address, "confirmFlashCall", **answers, code="0")
    assert (wrong.status, wrong.text) == (400, '{"error":"incorrect parameter code"}')
    right = call(setup.address, "confirmFlashCall", **answers, code=called["code"]).json
    assert (right["status"], right["message"], right["data"]["valid"], right["data"]["quantity"]) == (
        "success",
        "Code confirmed",
        1,
        2,
    )
    used = call(setup.address, "confirmFlashCall", **answers, code=called["code"])
    assert used.text == '{"error":"incorrect parameter code"}'
    elsewhere = call(setup.address, "confirmFlashCall", **{**answers, "phone": "375251234568"}, code=called["code"])
    assert (elsewhere.status, elsewhere.text) == (404, '{"error":"not found"}')


def test_a_flash_call_with_used_up_attempts(setup: Setup) -> None:
    called = call(setup.address, "flashCall", phone="375251234000", code="123456", attempt=1).json["data"]
    assert called["code"] == "123456"
    answers = {"phone": called["phone"], "fclid": called["fclid"]}
    call(setup.address, "confirmFlashCall", **answers, code="1")
    assert call(setup.address, "confirmFlashCall", **answers, code="123456").status == 400


def test_codes_are_not_kept(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url) as address:
        password = result(call(address, "createPasswordObject", type_id="letters", len=16))["password_object_id"]
        common = {"message": "Code %CODE%", "phone": "375291234567", "password_object_id": password}
        code = call(address, "sendSmsMessageWithCode", **common).json["code"]
        called = call(address, "flashCall", phone="375291234568", code="7418529630").json["data"]["code"]
        assert sandbox.received[0]["text"] == f"Code {code}"
        assert (len(code), code.isalpha(), code.isupper()) == (16, True, True)
        # The answer comes before the end is written down; the second message's is behind the first one's.
        kept = "SELECT content FROM messages UNION ALL SELECT hash FROM codes"
        eventually(lambda: not any(each in repr(_rows(tmp_path, kept)) for each in (code, called)))


def _rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """What a reader of the database finds."""
    with sqlite3.connect(folder / "gateway.db") as connection:
        return connection.execute(query).fetchall()
