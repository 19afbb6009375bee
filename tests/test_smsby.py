"""sms.by as its clients call it: raw requests in, exact answers out."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Setup
from tests.support.raw import Connection, exchange
from tests.support.servers import running_gateway, running_sandbox
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
SOON = {"forwarding_message": 1, "forwarding_time": 4}
FORWARDED: dict[str, Any] = {
    "vibername_id": 444,
    "phone": "375291234567",
    "forwarding_message": 1,
    "alphaname_id": 1363,
}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
NAME_FAULT = "ошибка в буквенном имени"
#: Ids that the captured requests name, which are stand-ins.
STAND_INS = {"message_id": (b"2604834", b"49409"), "sms_id": (b"2204968",), "password_object_id": (b"243", b"123")}


def test_a_body_that_is_cut_at_its_quotes(setup: Setup) -> None:
    """A client finds the figures by counting quotes."""
    pieces = call(setup.address, "getBalance").text.split('"')
    assert (pieces[13], pieces[17]) == ("2.86600", "0.00000")


# The captured requests, byte for byte; where they name an id that somebody gave them, one of ours.


@pytest.fixture
def ids(setup: Setup) -> dict[str, bytes]:
    """For each token, ids are one account's: all of these belong to the captures' ``TESTTOKEN``.

    New ones for each request: a message that was sent a few seconds ago is NEW no longer.
    """
    text = call(setup.address, "createSmsMessage", message="Тест").json["message_id"]
    password = result(call(setup.address, "createPasswordObject", type_id="both", len=5))["password_object_id"]
    sms = call(setup.address, "sendSms", message_id=text, phone="375291234567").json["sms_id"]
    call(setup.address, "createPasswordObject", token="YOUR-TOKEN-HERE", type_id="both", len=10)
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
            r'{"result":\[({"id":[0-9]+,"type_id":"both","len":10,"d_create":"[0-9 :-]{19}"},?)+\]}',
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
            {"message": "Hi", "phone": "375291234567", "vibername_id": 444, **SOON},
            400,
            "incorrect parameter forwarding_time",
        ),
        ("sendQuickSMS", {"message": "Hi", "phone": "375291234567", **SOON}, 400, NAME_FAULT),
        ("sendQuickViberMessage", {"vibername_id": 444, "phone": "1"}, 400, "incorrect parameter message"),
        ("createSmsMessage", {"message": "Hi", "time": "0001-01-01 00:00"}, 400, "incorrect parameter time"),
        ("createSmsMessage", {"message": "Hi", "time": "2030-2-3 4:05"}, 400, "incorrect parameter time"),
        ("checkSMS", {"sms_id": 99999999999}, 404, "not found"),
        ("checkSMS", {"sms_id": 2147483000}, 404, "not found"),
        ("getViberDeliveryData", {"message_id": 2147483000}, 404, "not found"),
        ("getViberDeliveryList", {"message_id": 2147483000}, 404, "not found"),
        ("confirmViberMessage", {"message_id": 2147483000}, 404, "not found"),
        ("getNewIncomingMessages", {"message_id": 2147483000}, 404, "not found"),
        ("statusBulkViber", {"uuid": "cc9c8043-8caf-11ef-b035-9e8f47954dec"}, 404, "not found"),
        ("getAlphanameId", {"name": "Nobody"}, 400, NAME_FAULT),
        ("createPasswordObject", {"type_id": "both", "len": 0}, 400, "len value must be beetwen 1 and 16"),
        ("sendBulkViber", {"messages": "none"}, 400, "incorrect parameter messages"),
        (
            "sendBulkViber",
            {"messages[0][name]": "x", "callback_url": "http://[x/"},
            400,
            "incorrect parameter callback_url",
        ),
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


def test_an_sms_behind_a_viber_message_is_what_its_request_asks_for(tmp_path: Path) -> None:
    """Whatever the account has for its Messagio login."""
    own = {"sender": "SHOP", "ttl": 600}
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, sms_fallback=own, smsby={}) as address:
        longest = "я" * 1000
        for asked in ({}, {"forwarding_message": 1, "forwarding_time": 5}):
            assert (
                call(
                    address,
                    "sendQuickViberMessage",
                    **{**FORWARDED, "forwarding_message": 0, "message": longest, **asked},
                ).status
                == 200
            )
        plain, forwarded = sandbox.received
    assert "fallbacks" not in plain
    assert forwarded["ttl"] == 300
    assert forwarded["fallbacks"] == [{"from": "VasheImya", "to": "375291234567", "type": "sms", "text": longest}]


def test_a_picture_without_a_word_has_no_sms_and_its_whole_life(setup: Setup) -> None:
    picture = {"type_message": "IMAGE", "image_url": "https://example.com/a.png", "forwarding_time": 5}
    assert (
        call(setup.address, "sendQuickViberMessage", **{**FORWARDED, **picture, "phone": "375291234599"}).status == 200
    )
    item = setup.received("375291234599")
    assert (item["ttl"], "fallbacks" in item) == (86400, False)


def test_ids_that_no_database_column_holds_are_not_found(database: str, tmp_path: Path) -> None:
    methods = {
        "checkSMS": "sms_id",
        "sendSms": "message_id",
        "getViberDeliveryData": "message_id",
        "getSmsDeliveryList": "message_id",
        "getViberMessageData": "message_id",
        "confirmViberMessage": "message_id",
        "getNewIncomingMessages": "message_id",
    }
    chosen = {"database": database}
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, settings=chosen, smsby={}) as address:
        for number in (2**31, 9_999_999_999, 999_999_999_999_999_999):
            given: list[dict[str, Any]] = [{name: number, "phone": "375291234567"} for name in methods.values()]
            answers = [call(address, method, **each) for method, each in zip(methods, given, strict=True)]
            assert {(each.status, each.text) for each in answers} == {(404, '{"error":"not found"}')}


def test_over_the_limit_and_smsbat_down(tmp_path: Path) -> None:
    slow: dict[str, Any] = {"rate": {"per_second": 0.001, "burst": 1}, "on_timeout": "refuse", "wait": 0.2}
    with running_gateway(tmp_path, "http://127.0.0.1:9", **slow, smsby={}) as address:
        down = call(address, "sendQuickSMS", version="v2", message="Hi", phone="375291234567")
        assert (down.status, down.text) == (500, '{"status":"ERROR","error":"undefined error"}')
        for version, body in (
            ("v1", '{"error":"limit excided"}'),
            ("v2", '{"status":"ERROR","error":"limit excided"}'),
        ):
            over = call(address, "sendQuickSMS", version=version, message="Hi", phone="375291234567")
            assert (over.status, over.text) == (429, body)


# The manner


def test_a_pluss_that_nobody_escaped(tmp_path: Path) -> None:
    """Three of the vendor's samples put the token into the address as it is."""
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, smsby={}) as address:
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
        # As curl sends a file, with its last newline, which an editor on Windows wrote.
        (b"", FORM, b"message=Hi&phone=375291234567&token=TESTTOKEN\r\n"),
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


@pytest.mark.parametrize(
    ("method", "document", "text"),
    [
        ("sendQuickSMS", {"message": "Hi", "phone": ["375290001111", "375290002222"]}, "incorrect phone number"),
        ("readResponseStatus", {"incoming_messages": [581, 580]}, "incorrect parameter incoming_messages"),
        ("createSmsMessage", {"message": "Hi", "alphaname_id": [1363, 123]}, NAME_FAULT),
    ],
)
def test_several_values_for_one_are_refused_before_any_is_lost(
    setup: Setup, method: str, document: dict[str, Any], text: str
) -> None:
    response = post_json(setup.address, method, document)
    assert (response.status, response.json) == (400, {"error": text})


@pytest.mark.parametrize("method", ["sendBulkViber", "sendBulkSms"])
@pytest.mark.parametrize("messages", [[], [None], [None, None], {}])
def test_a_bulk_request_without_a_list(setup: Setup, method: str, messages: Any) -> None:
    response = post_json(setup.address, method, {"messages": messages})
    assert (response.status, response.text) == (400, '{"error":"incorrect parameter messages"}')


@pytest.mark.parametrize("phone", [["375290001111"], ["", "375290001111", None]])
def test_an_array_of_one_value_is_that_value(setup: Setup, phone: list[Any]) -> None:
    response = post_json(setup.address, "sendQuickSMS", {"message": "Hi", "phone": phone})
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


@pytest.mark.parametrize("target", [b"/remote-api", b"/remote-api/x", b"/Remote-API/x?token=TESTTOKEN"])
def test_an_api_known_by_name_only_is_not_found_under_any_host(setup: Setup, target: bytes) -> None:
    response = setup.exchange(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
    assert (response.status, response.text) == (404, '{"error":"not found"}')


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "CONNECT", "PROPFIND"])
def test_other_methods_of_http(setup: Setup, method: str) -> None:
    response = setup.exchange(f"{method} /api/v2/getLimit?token=TESTTOKEN HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (response.status, response.text) == (404, '{"status":"ERROR","error":"not found"}')


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /api/v1/getLimit HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort",
        b"POST /api/v1/getLimit HTTP/1.1\r\nHost: x\r\nContent-Len",
        b"GET /api/v1/getLimit?x=" + b"y" * 600_000,
        b"GET /api/v1/getLimit HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_what_never_gets_as_far_as_the_application(setup: Setup, raw: bytes) -> None:
    with Connection(setup.address) as connection:
        connection.write(raw)
        connection.end()
        response = connection.read()
    assert (response.status, response.text) == (400, '{"error":"incorrect parameter request"}')


def test_a_path_longer_than_any(setup: Setup) -> None:
    response = setup.exchange(b"GET /api/v1/" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (response.status, response.text) == (404, '{"error":"not found"}')


def test_a_picture_in_the_request(setup: Setup) -> None:
    """Its name, its type and a second one do not matter."""
    pairs = {"token": "TESTTOKEN", "vibername_id": "444", "phone": "375290000091", "type_message": "image"}
    parts = [f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in pairs.items()]
    image = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x.exe"\r\n\r\n%b\r\n'
    body = b"".join([*parts, image % b"GIF89a-first", image % b"\xff\xd8\xff-second", b"--b--\r\n"])
    head = (
        b"POST /api/v2/sendQuickViberMessage HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    )
    response = setup.exchange(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert response.json["status"] == "OK", response.text
    with urllib.request.urlopen(setup.received("375290000091")["messageData"]["img"]) as fetched:
        assert fetched.read() == b"\xff\xd8\xff-second"
    shown = "SELECT needed_until = expires_at FROM messages JOIN media ON content LIKE '%' || media.id || '%'"
    with contextlib.closing(sqlite3.connect(setup.database)) as connection:
        found = connection.execute(f"{shown} WHERE digits = '375290000091'").fetchall()
    assert found == [(1,)], "the picture is kept for as long as its message may be shown"


def test_rows_with_gaps_and_faults_spoil_no_others(setup: Setup) -> None:
    number = result(call(setup.address, "createSubscriberList", name="Gaps"))["list_id"]
    query = (
        f"list_id={number}&field_names[0]=phone&field_names[1]=name&field_names[2]=email&data[0][0]=375291234567"
        "&data[0][2]=x@y.by&data[5][1]=375290000001&data[7][0]=bad&data[8][0]=375291234568&data[8][1]=%00"
    )
    raw = f"POST /api/v1/importContacts?token=TESTTOKEN&{query} HTTP/1.1\r\nHost: x\r\n\r\n"
    imported = result(setup.exchange(raw.encode()))
    assert [(each["index"], each["error_message"]) for each in imported["log"]] == [
        (5, "incorrect phone number"),
        (7, "incorrect phone number"),
        (8, "incorrect parameter name"),
    ]
    assert imported["inserted"] == 1


def test_ids_of_another_kind_are_unknown(setup: Setup, ids: dict[str, bytes]) -> None:
    number = result(call(setup.address, "createSubscriberList", name="Kinds"))["list_id"]
    sms = result(call(setup.address, "sendSmsList", list_id=number, message="Hi"))["message_id"]
    password = int(ids["password_object_id"])
    for method, other in [
        ("getViberDeliveryList", number),
        ("getViberDeliveryList", sms),
        ("getSmsDeliveryList", password),
        ("getNewIncomingMessages", password),
        ("getViberMessageData", sms),
        ("confirmViberMessage", sms),
        ("sendSms", number),
    ]:
        response = call(setup.address, method, message_id=other, phone="375291234567")
        assert (response.status, response.text) == (404, '{"error":"not found"}'), method


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
