"""The Messagio dialect, parameter by parameter: a request in, the exact answer out. No network."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.mapping.examples import run
from gateway.mapping.exchange import Exchange
from gateway.mapping.loader import Plan, load
from gateway.wire.raw_http import read_request
from tests.support.raw import AUTH_ERROR, OK, answer_text, get, post, signed, urlencoded
from tests.support.servers import accounts, plan_for, write_mappings

PHONE = "79041231231"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_for(tmp_path_factory.mktemp("plan"), "http://127.0.0.1:1")


def answered(plan: Plan, raw: bytes) -> tuple[Exchange, str]:
    exchange, answer = run(plan.dialects["messagio"], plan.accounts.identities, read_request(raw))
    assert answer.status == 200
    assert dict(answer.headers)[b"content-type"] == b"text/xml; charset=utf-8"
    return exchange, answer.body.decode()


def send(plan: Plan, **parameters: Any) -> tuple[Exchange, str]:
    return answered(plan, get(signed(**{"phone": PHONE, "txt": "hello", **parameters})))


@pytest.mark.parametrize(
    ("parameters", "code", "text"),
    [
        ({"sending_method": "email"}, -1, "PARAM ERROR (sending_method)"),
        ({"sending_method": "Viber"}, -1, "PARAM ERROR (sending_method)"),
        ({"from_": ""}, -1, "PARAM ERROR (from)"),
        ({"phone": ""}, -1, "PARAM ERROR (phone)"),
        ({"phone": "+79041231231"}, -1, "PARAM ERROR (phone)"),
        ({"phone": [PHONE, "7904123123x"]}, -1, "PARAM ERROR (phone)"),
        ({"phone": "7904,7905"}, -1, "PARAM ERROR (phone)"),
        ({"phone": "٧٩٠٤١٢٣١٢٣١"}, -1, "PARAM ERROR (phone)"),
        ({"phone": ["7904"] * 10_001}, -1, "PARAM ERROR (phone)"),
        ({"charset": "latin1"}, -1, "PARAM ERROR (charset)"),
        ({"txt": ""}, -1, "PARAM ERROR (txt)"),
        ({"txt": "x" * 2049}, -1, "PARAM ERROR (txt)"),
        ({"txt": "x" * 1001, "sending_method": "viber"}, -1, "PARAM ERROR (txt)"),
        ({"txt": "", "sending_method": "viber"}, -1, "PARAM ERROR (txt)"),
        ({"txt": "", "image_id": ["", ""], "sending_method": "viber"}, -1, "PARAM ERROR (txt)"),
        ({"txt": "", "image_id": ["AVESK8", ""], "sending_method": "viber"}, -1, "PARAM ERROR (image_id)"),
        ({"image_id": "AVESK8", "sending_method": "viber"}, -1, "PARAM ERROR (image_id)"),
        ({"txt": "", "image_id": "AVESK8", "sending_method": "viber"}, -1, "PARAM ERROR (image_id)"),
        ({"button_text": "x" * 31, "button_link": "b", "sending_method": "viber"}, -1, "PARAM ERROR (button_text)"),
        ({"button_text": "a", "button_link": "x" * 2049, "sending_method": "viber"}, -1, "PARAM ERROR (button_link)"),
        ({"dlr": "2"}, -1, "PARAM ERROR (dlr)"),
        ({"dlr": "yes"}, -1, "PARAM ERROR (dlr)"),
        ({"dlr_timeout": "59"}, -1, "PARAM ERROR (dlr_timeout)"),
        ({"dlr_timeout": "86401"}, -1, "PARAM ERROR (dlr_timeout)"),
        ({"dlr_timeout": "-60"}, -1, "PARAM ERROR (dlr_timeout)"),
        ({"dlr_timeout": "60.5"}, -1, "PARAM ERROR (dlr_timeout)"),
        ({"expiry_txt": "a\0b", "sending_method": "viber"}, -1, "PARAM ERROR (expiry_txt)"),
        ({"delay": "10081"}, -1, "PARAM ERROR (delay)"),
        ({"delay": "soon"}, -1, "PARAM ERROR (delay)"),
        ({"delay": "-1"}, -1, "PARAM ERROR (delay)"),
        ({"hex": "1"}, -3, "NOT SUPPORTED (hex)"),
        ({"hex": "2"}, -1, "PARAM ERROR (hex)"),
        # The first failure in the documented order is the one that is told.
        ({"hex": "1", "delay": "x", "phone": "x", "sending_method": "x"}, -1, "PARAM ERROR (sending_method)"),
        ({"hex": "1", "delay": "10081"}, -1, "PARAM ERROR (delay)"),
    ],
)
def test_refused_parameter(plan: Plan, parameters: dict[str, Any], code: int, text: str) -> None:
    exchange, answer = send(plan, **parameters)
    assert answer == answer_text(code, text)
    assert exchange.messages == ()


@pytest.mark.parametrize(
    "parameters",
    [
        {"sending_method": "sms"},
        {"sending_method": ""},
        {"from_": "friendly_man"},
        {"from_": "My Shop"},
        {"phone": "1"},
        {"phone": "7" * 40},
        {"charset": "utf8"},
        {"txt": "x" * 2048},
        {"txt": "x" * 1000, "sending_method": "viber"},
        {"txt": "😀" * 1000, "sending_method": "viber"},
        {"txt": "0"},
        {"image_id": "AVESK8", "button_text": "a", "button_link": "b", "expiry_txt": "c"},
        {"image_id": "", "button_text": "", "button_link": "", "sending_method": "viber"},
        {"button_text": "x" * 30, "button_link": "x" * 2048, "sending_method": "viber"},
        {"button_text": "x" * 31, "button_link": "x" * 2049},
        {"button_text": "half", "sending_method": "viber"},
        {"button_link": "half", "sending_method": "viber"},
        {"dlr_timeout": "60"},
        {"dlr_timeout": "86400"},
        {"delay": "0", "hex": "0", "dlr": "0"},
        {"delay": "10080"},
        {"p_transaction_id": "a/b c-Ж"},
        {"pref": "x", "udh": "y", "group_id": "z", "label": "w", "anything": "else"},
    ],
)
def test_accepted_parameter(plan: Plan, parameters: dict[str, Any]) -> None:
    exchange, answer = send(plan, **parameters)
    assert answer == OK
    assert len(exchange.messages) == 1


def test_what_a_message_carries(plan: Plan) -> None:
    exchange, _ = send(plan, sending_method="viber", dlr="1", dlr_timeout="119", p_transaction_id="order 7/8")
    message = exchange.messages[0]
    assert (message.channel, message.sender, message.recipient, message.digits) == ("viber", "Sender", PHONE, PHONE)
    assert (message.content.text, message.ttl, message.reference, message.report) == ("hello", 60, "order 7/8", True)
    assert (message.account, message.dialect, message.position) == ("demo", "messagio", 0)


def test_with_reports_there_is_an_id_for_each_phone_in_order(plan: Plan) -> None:
    _, answer = send(plan, phone=[PHONE, "79165557755", PHONE], dlr="1")
    assert answer == (
        '<?xml version="1.0"?>\n<response>\n  <tech_message>OK</tech_message>\n  <code>0</code>\n'
        f'  <msg_id phone="{PHONE}">MESSAGE-1</msg_id>\n  <msg_id phone="79165557755">MESSAGE-2</msg_id>\n'
        f'  <msg_id phone="{PHONE}">MESSAGE-3</msg_id>\n</response>\n'
    )


def test_an_error_has_the_first_form_even_with_reports(plan: Plan) -> None:
    assert send(plan, dlr="1", delay="x")[1] == answer_text(-1, "PARAM ERROR (delay)")


def test_each_newline_form_is_signed_as_sent_and_becomes_one_lf(plan: Plan) -> None:
    for newline in ("\r\n", "\n", "\r", "\\n", "\\r", "<br>", "<br/>", "<br />", "<br />\n"):
        exchange, answer = send(plan, txt=f"line1{newline}line2")
        assert (answer, exchange.messages[0].content.text) == (OK, "line1\nline2")


def test_length_is_counted_after_newlines(plan: Plan) -> None:
    assert send(plan, txt="<br />" * 1000, sending_method="viber")[1] == OK


@pytest.mark.parametrize(
    "changed",
    [{"user": "nobody"}, {"sign": "0" * 32}, {"sign": "x"}, {"txt": "changed"}, {"phone": "1"}, {"from": "sender"}],
)
def test_unknown_user_and_wrong_signature_are_one_answer(plan: Plan, changed: dict[str, str]) -> None:
    pairs = [(name, changed.get(name, value)) for name, value in signed(phone=PHONE, txt="hello")]
    assert answered(plan, get(pairs))[1] == AUTH_ERROR


def test_authentication_comes_before_parameters(plan: Plan) -> None:
    raw = b"GET /?user=nobody&sign=x&phone=odd&charset=odd&delay=odd HTTP/1.1\r\n\r\n"
    assert answered(plan, raw)[1] == AUTH_ERROR


@pytest.mark.parametrize("query", [b"", b"user=onvUser", b"sign=x", b"user=&sign=x", b"user=onvUser&sign="])
def test_missing_credentials(plan: Plan, query: bytes) -> None:
    assert answered(plan, b"GET /?%b HTTP/1.1\r\n\r\n" % query)[1] == answer_text(-1, "SYNTAX ERROR (user/sign)")


def test_either_of_two_secrets_is_valid(plan: Plan) -> None:
    pairs = [("user", "user"), ("from", "x"), ("phone", "7"), ("txt", "t")]
    for secret in (b"secretKey", b"token"):
        sign = md5(b"userx7t" + secret)
        assert answered(plan, get([*pairs, ("sign", sign)]))[1] == OK
        assert answered(plan, get([*pairs, ("sign", sign.upper())]))[1] == OK
    assert answered(plan, get([*pairs, ("sign", md5(b"userx7tother"))]))[1] == AUTH_ERROR


def md5(raw: bytes) -> str:
    return hashlib.md5(raw).hexdigest()


CHARSETS = [
    ("UTF-8", "utf-8"),
    ("utf8", "utf-8"),
    ("UTF-16BE", "utf-16-be"),
    ("ucs-2", "utf-16-be"),
    ("CP1251", "cp1251"),
]


@pytest.mark.parametrize(("name", "codec"), CHARSETS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_text_in_each_charset(plan: Plan, name: str, codec: str, method: str) -> None:
    text = "Привет & мир + ё".encode(codec)
    sign = md5(b"onvUserSender" + PHONE.encode() + text + b"4Ab2ln4FEa32")
    escaped = "".join(f"%{byte:02X}" for byte in text)
    form = f"user=onvUser&from=Sender&phone={PHONE}&txt={escaped}&charset={name}&sign={sign}".encode()
    raw = post(form) if method == "POST" else b"GET /?%b HTTP/1.1\r\n\r\n" % form
    exchange, answer = answered(plan, raw)
    assert (answer, exchange.messages[0].content.text) == (OK, "Привет & мир + ё")


@pytest.mark.parametrize(
    ("charset", "text"),
    [("UTF-8", b"\xcf\xf0"), ("UTF-16BE", b"\x04\x1f\x04"), ("CP1251", b"\x98"), ("UTF-8", b"a\0b")],
)
def test_text_that_does_not_decode(plan: Plan, charset: str, text: bytes) -> None:
    sign = md5(b"onvUserSender" + PHONE.encode() + text + b"4Ab2ln4FEa32")
    escaped = "".join(f"%{byte:02X}" for byte in text)
    raw = f"GET /?user=onvUser&from=Sender&phone={PHONE}&txt={escaped}&charset={charset}&sign={sign} HTTP/1.1\r\n\r\n"
    assert answered(plan, raw.encode())[1] == answer_text(-1, "PARAM ERROR (txt)")


def test_json_is_signed_as_its_strings_and_charset_is_not_applied(plan: Plan) -> None:
    sign = md5(b"onvUserSender79041231231" + "Привет".encode() + b"4Ab2ln4FEa32")
    members = {"user": "onvUser", "from": "Sender", "phone": 79041231231, "charset": "CP1251"}
    body = json.dumps({**members, "txt": "Привет", "sign": sign}, ensure_ascii=False)
    exchange, answer = answered(plan, post(body.encode(), b"application/json"))
    assert (answer, exchange.messages[0].content.text) == (OK, "Привет")


@pytest.mark.parametrize(
    ("members", "answer"),
    [
        # Signed is the last one, as it always was.
        ({"from": ["Shop", "Sender"]}, answer_text(-1, "PARAM ERROR (from)")),
        ({"delay": [5, 0]}, answer_text(-1, "PARAM ERROR (delay)")),
        ({"delay": [0]}, OK),
        # What has no effect on the message has none here.
        ({"label": ["a", "b"], "button_text": ["a", "b"]}, OK),
    ],
)
def test_json_with_several_values_for_one(plan: Plan, members: dict[str, Any], answer: str) -> None:
    parameters = dict(signed(phone=PHONE, txt="hello"))
    body = json.dumps({**parameters, **members}).encode()
    assert answered(plan, post(body, b"application/json"))[1] == answer


def test_json_values_that_an_account_percent_encodes(tmp_path: Path) -> None:
    """One .NET client does, and signs the encoded form."""
    login = {"messagio": {"login": "net", "secrets": ["s"], "json_values": "percent-encoded"}}
    content = accounts("http://127.0.0.1:1")
    content["accounts"] = {"net": {"smsbat": "main", "logins": login}}
    plan = load([write_mappings(tmp_path, content)])
    encoded = "%d0%9f%d1%80+%26"
    sign = md5(b"netSender7" + encoded.encode() + b"s")
    body = f'{{"user": "net", "from": "Sender", "phone": "7", "txt": "{encoded}", "sign": "{sign}"}}'
    exchange, answer = answered(plan, post(body.encode(), b"application/json"))
    assert (answer, exchange.messages[0].content.text) == (OK, "Пр &")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"GET /x HTTP/1.1\r\n\r\n", "SYNTAX ERROR (path)"),
        (b"PUT / HTTP/1.1\r\n\r\n", "SYNTAX ERROR (method)"),
        (b"DELETE /?user=u HTTP/1.1\r\n\r\n", "SYNTAX ERROR (method)"),
        (post(b"x" * 2_097_153), "SYNTAX ERROR (size)"),
        (post(b"a&" * 30_000), "SYNTAX ERROR (size)"),
    ],
)
def test_requests_that_are_no_sends(plan: Plan, raw: bytes, text: str) -> None:
    assert answered(plan, raw)[1] == answer_text(-1, text)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /?action=phone_info&phone=79041231231 HTTP/1.1\r\n\r\n",
        post(urlencoded([("action", "phone_info"), ("user", "onvUser")])),
        b"GET /?phone=79041231231 HTTP/1.1\r\nHost: pc.sms-online.com\r\n\r\n",
        b"GET /lookup HTTP/1.1\r\nHost: PC.sms-online.com:443\r\n\r\n",
    ],
)
def test_number_lookup_is_refused_with_its_own_second_text(plan: Plan, raw: bytes) -> None:
    assert answered(plan, raw)[1] == answer_text(-3, "NOT SUPPORTED (phone_info)").replace(
        "</response>", "  <techmsg>NOT SUPPORTED (phone_info)</techmsg>\n</response>"
    )
