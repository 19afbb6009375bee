"""Request lines that parsers refuse and clients send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.request_line import is_plain, method_of, repair, repair_head


@pytest.mark.parametrize(
    ("sent", "repaired"),
    [
        (b"GET /?from=My Shop HTTP/1.1\r\n", b"GET /?from=My%20Shop HTTP/1.1\r\n"),
        ("GET /?txt=Привет HTTP/1.1\r\n".encode(), b"GET /?txt=%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82 HTTP/1.1\r\n"),
        (b"GET /?txt=in HTTP/1.0 times HTTP/1.0\r\n", b"GET /?txt=in%20HTTP/1.0%20times HTTP/1.0\r\n"),
        (b"GET /?txt=end  HTTP/1.1\r\n", b"GET /?txt=end%20 HTTP/1.1\r\n"),
        (b"GET ?user=u HTTP/1.1\r\n", b"GET /?user=u HTTP/1.1\r\n"),
        (b"GET http://bulk.sms-online.com?user=u HTTP/1.1\r\n", b"GET /?user=u HTTP/1.1\r\n"),
        (b"GET http://my_host:99999/x?u=http://y HTTP/1.1\r\n", b"GET /x?u=http://y HTTP/1.1\r\n"),
        (b"GET https://\xd1\x85 HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n"),
    ],
)
def test_repaired(sent: bytes, repaired: bytes) -> None:
    assert repair(sent) == repaired


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\n",
        b"GET /?a=%20b+c HTTP/1.1\r\n",
        b"GET /?u=http://x HTTP/1.1\r\n",
        b"GET /?a=\x01 HTTP/1.1\r\n",
        b"GET /?a=\x00b c HTTP/1.1\r\n",
        b"GET /?a=b\tc HTTP/1.1\r\n",
        b"GET / http/1.1\r\n",
        b"G\xc3T / HTTP/1.1\r\n",
        b"GET\r\n",
        b"\x16\x03\x01\x02\r\n",
    ],
)
def test_left_for_the_parser_to_judge(line: bytes) -> None:
    assert repair(line) == line


@given(st.binary())
def test_only_the_target_changes(target: bytes) -> None:
    repaired = repair(b"GET /" + target.replace(b"\n", b"") + b" HTTP/1.1\r\n")
    assert repaired.startswith(b"GET /")
    assert repaired.endswith(b" HTTP/1.1\r\n")
    assert repaired.count(b"\n") == 1


@pytest.mark.parametrize("name", [b"Upgrade", b"upgrade", b"UPGRADE", b"UpGrade"])
def test_an_offer_to_upgrade_is_put_aside(name: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nConnection: Upgrade\r\n%b: h2c\r\nX-Upgrade: no\r\n\r\n"
    assert repair_head(head % name) == head % b"x-ignored-upgrade"


@given(st.binary(), st.sampled_from([b"GET", b"POST", b"PUT", b"CONNECT", b"get"]))
def test_a_plain_head_is_one_of_which_nothing_would_change(target: bytes, method: bytes) -> None:
    head = method + b" /" + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    if is_plain(head):
        assert repair_head(head) == head
        assert method_of(head) in ("GET", "POST")


def test_what_is_plain() -> None:
    assert is_plain(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not is_plain(b"GET /?from=My Shop HTTP/1.1\r\n\r\n")
    assert not is_plain(b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n")
    assert not is_plain(b"POST / HTTP/1.1\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n")


@pytest.mark.parametrize(
    ("headers", "repaired"),
    [
        ([b"Content-Length: 5", b"A: b", b"content-length:5"], [b"Content-Length: 5", b"A: b"]),
        ([b"Content-Length: 5", b"Content-Length: 5", b"Content-Length: 5"], [b"Content-Length: 5"]),
        ([b"Content-Length: 5", b"Content-Length: 6"], [b"Content-Length: 5", b"Content-Length: 6"]),
        ([b"Content-Length: 5", b"Content-Length: 05"], [b"Content-Length: 5", b"Content-Length: 05"]),
        ([b"Content-Length: 5", b"Content-Length: +5"], [b"Content-Length: 5", b"Content-Length: +5"]),
        ([b"Content-Length: 5", b"X-Content-Length: 5"], [b"Content-Length: 5", b"X-Content-Length: 5"]),
    ],
)
def test_a_length_said_again_is_said_once(headers: list[bytes], repaired: list[bytes]) -> None:
    head, expected = (b"\r\n".join([b"POST / HTTP/1.1", *lines, b"", b""]) for lines in (headers, repaired))
    assert repair_head(head) == expected


@given(st.lists(st.sampled_from([b"A: b", b"Upgrade: h2c", b"X: \r y", b"Content-Length: 0"]), max_size=4))
def test_a_bare_lf_ends_a_line_as_crlf_does(headers: list[bytes]) -> None:
    lines = [b"GET /?from=My Shop HTTP/1.1", b"Host: x", *headers, b"", b""]
    assert repair_head(b"\n".join(lines)) == repair_head(b"\r\n".join(lines))
    assert not is_plain(b"POST / HTTP/1.1\r\n" + b"\n".join(lines[1:]))
