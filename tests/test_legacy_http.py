"""Old clients over real sockets: every form, every oddity of HTTP, every failure."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from gateway.wire.signatures import md5_signature
from tests.conftest import Setup
from tests.support.raw import OK, Connection, answer_text, exchange, get, multipart, post, signed, urlencoded
from tests.support.servers import eventually, running_gateway, running_sandbox

SECRET = b"4Ab2ln4FEa32"


def pairs_for(phone: str, text: str = "hello") -> list[tuple[str, str]]:
    return signed(phone=phone, txt=text)


# The forms in which the same request comes


def test_the_four_forms_of_one_request(setup: Setup) -> None:
    text = "Привет + мир & <b>"
    for number, make in enumerate((get, _form, _multipart, _json), start=1):
        phone = f"38050000000{number}"
        assert setup.exchange(make(pairs_for(phone, text))).text == OK
        assert setup.received(phone)["text"] == text


def _form(pairs: list[tuple[str, str]]) -> bytes:
    return post(urlencoded(pairs))


def _multipart(pairs: list[tuple[str, str]]) -> bytes:
    return multipart([(name.encode(), value.encode()) for name, value in pairs])


def _json(pairs: list[tuple[str, str]]) -> bytes:
    return post(json.dumps(dict(pairs)).encode(), b"application/json")


def test_a_comma_before_the_boundary_as_in_the_examples_of_rfc_1867(setup: Setup) -> None:
    raw = _multipart(pairs_for("380500000072"))
    assert setup.exchange(raw.replace(b"multipart/form-data;", b"multipart/form-data,")).text == OK


def test_raw_unescaped_utf8_in_a_form_body(setup: Setup) -> None:
    pairs = pairs_for("380500000011", "Привет, raw мир")
    raw = "&".join(f"{name}={value}" for name, value in pairs).encode()
    assert setup.exchange(post(raw)).text == OK
    assert setup.received("380500000011")["text"] == "Привет, raw мир"


@pytest.mark.parametrize("content_type", [b"text/plain", b"x", b"application/xml; charset=utf-16"])
def test_a_form_with_another_content_type(setup: Setup, content_type: bytes) -> None:
    assert setup.exchange(post(urlencoded(pairs_for("380500000012")), content_type)).text == OK


def test_a_form_without_content_type(setup: Setup) -> None:
    body = urlencoded(pairs_for("380500000013"))
    assert setup.exchange(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)).text == OK


def test_query_and_body_are_merged(setup: Setup) -> None:
    pairs = pairs_for("380500000014")
    raw = post(urlencoded(pairs[2:]), target=b"/?" + urlencoded([*pairs[:2], ("phone", "1")]))
    assert setup.exchange(raw).text == OK
    assert setup.received("380500000014")


@pytest.mark.parametrize(("charset", "codec"), [("UTF-8", "utf-8"), ("UTF-16BE", "utf-16-be"), ("CP1251", "cp1251")])
@pytest.mark.parametrize("form", ["get", "form", "multipart"])
def test_text_arrives_intact_in_each_charset(setup: Setup, charset: str, codec: str, form: str) -> None:
    phone = f"3806{['utf-8', 'utf-16-be', 'cp1251'].index(codec)}000{['get', 'form', 'multipart'].index(form):04d}"
    text = "Съешь ещё этих булок"
    raw_text = text.encode(codec)
    sign = md5_signature([b"onvUser", b"Sender", phone.encode(), raw_text], SECRET)
    pairs = [(b"user", b"onvUser"), (b"from", b"Sender"), (b"phone", phone.encode()), (b"txt", raw_text)]
    pairs += [(b"charset", charset.encode()), (b"sign", sign)]
    escaped = b"&".join(name + b"=" + quote_plus(value).encode() for name, value in pairs)
    raw = {
        "get": b"GET /?%b HTTP/1.1\r\nHost: x\r\n\r\n" % escaped,
        "form": post(escaped),
        "multipart": multipart(pairs),
    }
    assert setup.exchange(raw[form]).text == OK
    assert setup.received(phone)["text"] == text


# Request lines and connections


def test_raw_bytes_and_spaces_in_the_request_line(setup: Setup) -> None:
    phone, text, sender = "380500000021", "Привет мир", "My Shop"
    sign = md5_signature([b"onvUser", sender.encode(), phone.encode(), text.encode()], SECRET).decode()
    line = f"GET /?user=onvUser&from={sender}&phone={phone}&txt={text}&sign={sign} HTTP/1.1"
    assert setup.exchange(line.encode() + b"\r\nHost: x\r\n\r\n").text == OK
    assert (setup.received(phone)["text"], setup.received(phone)["from"]) == (text, sender)


def test_a_target_without_a_path(setup: Setup) -> None:
    query = urlencoded(pairs_for("380500000022"))
    assert setup.exchange(b"GET ?%b HTTP/1.1\r\nHost: x\r\n\r\n" % query).text == OK
    absolute = b"GET http://bulk.sms-online.com?%b HTTP/1.1\r\nHost: bulk.sms-online.com\r\n\r\n" % query
    assert setup.exchange(absolute).text == OK


def test_a_request_that_comes_byte_by_byte_then_another_on_the_same_connection(setup: Setup) -> None:
    raw = "GET /?user=u&sign=x&txt=Привет мир HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with Connection(setup.address) as connection:
        for byte in raw:
            connection.write(bytes([byte]))
        assert connection.read().code == -2
        connection.write(post(urlencoded(pairs_for("380500000023"))))
        assert connection.read().text == OK


def test_pipelined_requests_are_each_repaired(setup: Setup) -> None:
    odd = "GET /?user=u&sign=x&txt=Привет мир HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with Connection(setup.address) as connection:
        connection.write(odd + post(b"user=u&sign=x") + odd + get(pairs_for("380500000024")))
        assert [connection.read().code for _ in range(4)] == [-2, -2, -2, 0]


def test_chunked_body(setup: Setup) -> None:
    body = urlencoded(pairs_for("380500000025"))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:10], body[10:])) + b"0\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Connection(setup.address) as connection:
        connection.write(head + chunks)
        assert connection.read().text == OK
        connection.write("GET /?user=u&sign=Привет мир HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.read().code == -2


def test_expect_100_continue(setup: Setup) -> None:
    body = urlencoded(pairs_for("380500000026"))
    with Connection(setup.address) as connection:
        connection.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert connection.read().status == 100
        connection.write(body)
        assert connection.read().text == OK


def test_http_1_0_is_sent_no_interim_answer(setup: Setup) -> None:
    """Neither the first time nor when its head is known."""
    body = urlencoded(pairs_for("380500000026"))
    for _ in range(2):
        with Connection(setup.address) as connection:
            connection.write(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
            connection.write(body)
            assert connection.read().text == OK


def test_http_1_0_and_connection_close(setup: Setup) -> None:
    for line, header in (
        (b"HTTP/1.0", b"Accept: */*"),
        (b"HTTP/1.1", b"Host: x\r\nTE: deflate\r\nConnection: TE, close"),
    ):
        with Connection(setup.address) as connection:
            connection.write(b"GET /?%b %b\r\n%b\r\n\r\n" % (urlencoded(pairs_for("380500000027")), line, header))
            assert connection.read().text == OK
            assert connection.at_end()


def test_accept_encoding_does_not_change_the_answer(setup: Setup) -> None:
    raw = get(pairs_for("380500000028")).replace(
        b"\r\n\r\n", b"\r\nAccept-Encoding: gzip, deflate\r\nAccept: x\r\n\r\n"
    )
    response = setup.exchange(raw)
    assert response.text == OK
    assert "content-encoding" not in response.headers
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(response.body)


def test_post_without_a_length_has_no_body(setup: Setup) -> None:
    raw = b"POST /?%b HTTP/1.1\r\nHost: x\r\n\r\n" % urlencoded(pairs_for("380500000029"))
    assert setup.exchange(raw).text == OK


def test_an_offer_of_http_2_does_not_lose_the_body(setup: Setup) -> None:
    body = urlencoded(pairs_for("380500000030"))
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA"
    head = b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\nContent-Length: %d\r\n\r\n" % (offer, len(body))
    assert setup.exchange(head + body).text == OK


def test_a_client_that_ends_its_side_still_gets_its_answer(setup: Setup) -> None:
    pairs = pairs_for("380500000035")
    for raw in (get(pairs), post(urlencoded(pairs))):
        with Connection(setup.address) as connection:
            connection.write(raw)
            connection.end()
            assert connection.read().text == OK
            assert connection.at_end()


@pytest.mark.parametrize("milliseconds", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.6])
def test_it_may_end_its_side_at_any_moment(setup: Setup, milliseconds: float) -> None:
    """Also between the answer's being known and its being written; refusals are known soonest."""
    refused = post(urlencoded([("user", "x")]))
    for _ in range(25):
        with Connection(setup.address) as connection:
            connection.write(refused)
            until = time.perf_counter() + milliseconds / 1000
            while time.perf_counter() < until:
                pass
            connection.end()
            assert connection.read().status == 200
            assert connection.at_end()


@pytest.mark.parametrize(
    ("raw", "rest"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"GET / HTTP/1.0\r\n\r\n", b"\r\nConnection: close"),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\nConnection: close"),
    ],
)
def test_headers_are_spelt_as_clients_that_look_for_them_by_case_expect(setup: Setup, raw: bytes, rest: bytes) -> None:
    with Connection(setup.address) as connection:
        connection.write(raw)
        head = connection.read_head()
    assert re.search(rb"\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: \d+%b$" % rest, head)


# What is refused


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /?user=u HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nuser=u",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nuser",
        b"GET /?user=u\r\n",
    ],
)
def test_a_request_that_is_never_completed(setup: Setup, raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the client ends its side or only falls silent, it is told, and nothing is kept waiting for ever."""
    monkeypatch.setattr("gateway.inbound.protocol.STALLED", 0.2)
    for ends in (True, False):
        with Connection(setup.address) as connection:
            connection.write(raw)
            if ends:
                connection.end()
            assert connection.read().text == answer_text(-1, "SYNTAX ERROR (request)")
            assert connection.at_end()


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"])
def test_a_connection_on_which_nothing_is_asked(setup: Setup, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.inbound.protocol.STALLED", 0.2)
    with Connection(setup.address) as connection:
        connection.write(sent)
        assert connection.at_end()


@pytest.mark.parametrize("rest", [b"only a part of it", b""])
def test_an_answer_that_does_not_wait_for_the_body_reaches_who_sends_no_more(setup: Setup, rest: bytes) -> None:
    for _ in range(20):
        with Connection(setup.address) as connection:
            connection.write(b"POST /hooks/nobodys HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + rest)
            connection.end()
            assert connection.read().status == 404
            assert connection.at_end()


def test_a_broken_body_behind_another_request_is_refused_in_its_turn(setup: Setup) -> None:
    broken = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"
    with Connection(setup.address) as connection:
        connection.write(get(pairs_for("380500000036")) + broken)
        assert connection.read().text == OK
        refused = connection.read()
        assert (refused.status, refused.text) == (200, answer_text(-1, "SYNTAX ERROR (request)"))
        assert connection.at_end()


@pytest.mark.parametrize("line", [b"POST /nowhere HTTP/1.1", b"POST /nowhere HTTP/1.0", b"PUT / HTTP/1.1"])
def test_a_refused_upload_is_read_to_its_end_so_that_the_client_reads_why(setup: Setup, line: bytes) -> None:
    with Connection(setup.address) as connection:
        connection.write(line + b"\r\nHost: x\r\nConnection: close\r\nContent-Length: 8000000\r\n\r\n")
        connection.write(b"x" * 8_000_000)
        assert connection.read().code == -1
        assert connection.at_end()


@pytest.mark.parametrize("path", [b"/", b"/nowhere"])
def test_a_connection_whose_body_was_declined_is_not_used_again(setup: Setup, path: bytes) -> None:
    with Connection(setup.address) as connection:
        head = b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n"
        connection.write(head % path)
        response = connection.read()
        assert (response.code, response.headers["connection"]) == (-1, "close")
        assert connection.at_end()


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5\r\nContent-Length: 05",
        b"Content-Length: 5, 5",
        b"Content-Length: +5",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding : chunked",
    ],
)
def test_smuggling_is_refused_and_the_connection_closed(setup: Setup, framing: bytes) -> None:
    with Connection(setup.address) as connection:
        connection.write(b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n0\r\n\r\nGET /?user=u HTTP/1.1\r\n\r\n" % framing)
        response = connection.read()
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert response.text == answer_text(-1, "SYNTAX ERROR (request)")
        assert connection.at_end()


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    b"HELLO\r\n\r\n",
    b"GET / HTTP/1.1\nHost x\n\n",
    b"GET /\x01 HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("raw", NO_HTTP)
def test_what_is_no_http(setup: Setup, raw: bytes) -> None:
    response = setup.exchange(raw)
    assert (response.status, response.text) == (200, answer_text(-1, "SYNTAX ERROR (request)"))


@pytest.mark.parametrize(
    "written",
    [
        lambda head: head.replace(b"\r\n", b"\n"),
        # PHP's stream_context_create, with headers that a bare LF parts: it sends its own with CRLF.
        lambda head: head.replace(b"\r\nUser-Agent", b"\nUser-Agent"),
        lambda head: head.replace(b" HTTP/1.0\r\n", b" HTTP/1.0\n"),
        lambda head: head[:-2] + b"\n",
    ],
)
def test_a_head_whose_lines_end_without_cr(setup: Setup, written: Callable[[bytes], bytes]) -> None:
    body = urlencoded(pairs_for("380500000071"))
    lines = [
        b"POST / HTTP/1.0",
        b"Host: x",
        b"Content-type: application/x-www-form-urlencoded",
        b"User-Agent: MyShop/1.0",
    ]
    head = b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""])
    response = setup.exchange(written(head) + body)
    assert (response.status, response.text) == (200, OK)


def test_a_length_that_php_did_not_see_and_said_again(setup: Setup) -> None:
    """Its ``stream_context_create`` with a length among headers that a bare LF parts."""
    body = urlencoded(pairs_for("380500000072"))
    length = b"Content-Length: %d\r\n" % len(body)
    typed = b"Content-type: application/x-www-form-urlencoded\n"
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + length + typed + length + b"\r\n"
    response = setup.exchange(head + body)
    assert (response.status, response.text) == (200, OK)


def test_contradicting_lengths_are_refused_also_where_a_bare_lf_parts_them(setup: Setup) -> None:
    with Connection(setup.address) as connection:
        connection.write(b"POST / HTTP/1.1\r\nHost: x\r\nX: y\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n")
        assert connection.read().text == answer_text(-1, "SYNTAX ERROR (request)")
        assert connection.at_end()


def test_a_malformed_request_does_not_overtake_the_answer_before_it(setup: Setup) -> None:
    with Connection(setup.address) as connection:
        connection.write(get(pairs_for("380500000031")) + b"NONSENSE\r\n\r\n")
        assert connection.read().text == OK
        assert connection.at_end()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "path"),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "path"),
        (b"POST /uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "path"),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "method"),
        (b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n", "method"),
        (b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n", "method"),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", "method"),
        (b"CONNECT a.b:443 HTTP/1.1\r\nHost: x\r\n\r\n", "method"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "path"),
        (b"GET index.php?user=u HTTP/1.1\r\nHost: x\r\n\r\n", "path"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "user/sign"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "user/sign"),
        (b"GET /?" + b"x" * 600_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "size"),
        (post(b"txt=" + b"x" * 2_100_000), "size"),
        (post(b"--x\r\nbroken", b"multipart/form-data; boundary=x"), "user/sign"),
    ],
)
def test_every_failure_is_xml_with_http_200(setup: Setup, raw: bytes, text: str) -> None:
    response = setup.exchange(raw)
    assert (response.status, response.text) == (200, answer_text(-1, f"SYNTAX ERROR ({text})"))
    assert response.headers["content-type"] == "text/xml; charset=utf-8"


@pytest.mark.parametrize("target", [b"/", b"/api/v1/getBalance", b"/upload", b"/api/SendMessage", b"/remote-api/x"])
def test_every_path_of_the_lookup_host_has_its_answer(setup: Setup, target: bytes) -> None:
    response = setup.exchange(b"POST %b HTTP/1.1\r\nHost: pc.sms-online.com\r\nContent-Length: 3\r\n\r\na=b" % target)
    answer = answer_text(-3, "NOT SUPPORTED (phone_info)")
    techmsg = "  <techmsg>NOT SUPPORTED (phone_info)</techmsg>\n</response>"
    assert (response.status, response.text) == (200, answer.replace("</response>", techmsg))


def test_a_huge_announced_body_is_refused_before_it_is_sent(setup: Setup) -> None:
    with Connection(setup.address) as connection:
        connection.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n")
        assert connection.read().text == answer_text(-1, "SYNTAX ERROR (size)")


def test_ten_thousand_phones_and_one_more(setup: Setup) -> None:
    phones = [f"3807{number:08d}" for number in range(10_000)]
    response = setup.exchange(post(urlencoded(signed(phone=phones, txt="many", dlr="1"))))
    assert [phone for phone, _ in response.message_ids] == phones
    assert len({message_id for _, message_id in response.message_ids}) == 10_000
    refused = setup.exchange(post(urlencoded(signed(phone=[*phones, "1"], txt="many"))))
    assert refused.text == answer_text(-1, "PARAM ERROR (phone)")


def test_ids_of_the_answer_are_those_smsbat_gets(setup: Setup) -> None:
    phones = ["380500000041", "380500000042"]
    response = setup.exchange(post(urlencoded(signed(phone=phones, txt="x", dlr="1"))))
    assert response.text.startswith(
        '<?xml version="1.0"?>\n<response>\n  <tech_message>OK</tech_message>\n  <code>0</code>\n'
    )
    assert response.message_ids == [(phone, setup.received(phone)["customerMessageId"]) for phone in phones]


# When the gateway itself is in trouble


def test_a_database_that_is_gone_is_a_temporary_error_and_comes_back(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url) as address:
        assert exchange(address, get(pairs_for("380500000051"))).text == OK
        blocker = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        blocker.execute("ALTER TABLE messages RENAME TO elsewhere")
        assert exchange(address, get(pairs_for("380500000052"))).text == answer_text(-4, "TEMPORARY ERROR")
        blocker.execute("ALTER TABLE elsewhere RENAME TO messages")
        assert exchange(address, get(pairs_for("380500000053"))).text == OK
        blocker.close()
        assert [each["to"] for each in sandbox.received] == ["380500000051", "380500000053"]


def test_an_error_of_ours_is_a_temporary_error(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> None:
        raise RuntimeError("a fault planted by the test")

    monkeypatch.setattr("gateway.inbound.send.SendOperation.perform", fault)
    assert setup.exchange(get(pairs_for("380500000061"))).text == answer_text(-4, "TEMPORARY ERROR")


class BrokenLog:
    """A log whose pipe is gone."""

    told = 0

    def bind(self) -> BrokenLog:
        return self

    def info(self, *_: object, **__: object) -> None:
        self.told += 1
        raise OSError("the log's pipe is gone")

    def exception(self, *_: object) -> None:
        """What is left to do about it: nothing."""


def test_a_log_in_trouble_does_not_cost_the_next_answer(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = BrokenLog()
    monkeypatch.setattr("gateway.inbound.telling.log", broken)
    with Connection(setup.address) as connection:
        connection.write(get(pairs_for("380500000062")) * 2)
        assert [connection.read().text for _ in range(2)] == [OK, OK]
    assert eventually(lambda: broken.told >= 2)
