"""Requests whose heads came before, byte for byte: they are served as the first one was, however their bytes come."""

from __future__ import annotations

import pytest

from gateway.inbound.body import HEADERS_AT
from gateway.inbound.heads import KnownHeads
from gateway.inbound.protocol import _LegacyProtocol
from tests.conftest import Setup
from tests.support.raw import OK, Connection, post, signed, urlencoded


def send(phone: int, head: bytes = b"POST / HTTP/1.1\r\nHost: x\r\n") -> bytes:
    """A request whose head is the same for every phone: all have the same number of digits."""
    body = urlencoded(signed(phone=str(phone), txt="hello"))
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def test_the_parser_is_not_asked_again(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    with Connection(setup.address) as connection:
        connection.write(send(380500000701))
        assert connection.read().text == OK
        monkeypatch.delattr(_LegacyProtocol, "_parse")
        connection.write(send(380500000702))
        assert connection.read().text == OK
    assert setup.received("380500000701")
    assert setup.received("380500000702")


@pytest.mark.parametrize("cuts", [(90,), (30, 60), (2, 100), (59,)], ids=str)
def test_the_second_one_comes_in_pieces(setup: Setup, cuts: tuple[int, ...]) -> None:
    first, second = send(380500000711), send(380500000712)
    with Connection(setup.address) as connection:
        connection.write(first)
        assert connection.read().text == OK
        for start, end in zip((0, *cuts), (*cuts, len(second)), strict=True):
            connection.write(second[start:end])
        assert connection.read().text == OK
        connection.write(send(380500000713))
        assert connection.read().text == OK


def test_several_in_one_piece_are_answered_in_their_order(setup: Setup) -> None:
    wrong = post(b"user=u&sign=x")
    with Connection(setup.address) as connection:
        for raw in (send(380500000721), wrong):
            connection.write(raw)
            connection.read()
        connection.write(send(380500000722) + wrong + send(380500000723) + wrong)
        assert [connection.read().code for _ in range(4)] == [0, -2, 0, -2]


@pytest.mark.parametrize("head", [b"POST / HTTP/1.0\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"])
def test_the_connection_ends_each_time(setup: Setup, head: bytes) -> None:
    for phone in (380500000731, 380500000732):
        with Connection(setup.address) as connection:
            connection.write(send(phone, head))
            assert connection.read().text == OK
            assert connection.at_end()


def test_what_is_behind_the_body_is_the_next_request(setup: Setup) -> None:
    for phone in (380500000741, 380500000742):
        with Connection(setup.address) as connection:
            connection.write(send(phone) + b"\x00\x01 no request\r\n\r\n")
            assert connection.read().text == OK
            assert connection.at_end()


@pytest.mark.parametrize(
    ("head", "query"),
    [
        (b"GET /?user=u&sign=x HTTP/1.1\r\nHost: x\r\n\r\n", b"user=u&sign=x"),
        (b"POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=xyz\r\n\r\n", b""),
        (b"POST / HTTP/1.1\r\nX-Long: %b\r\n\r\n" % (b"x" * 1000), b""),
    ],
)
def test_heads_that_do_not_come_again_are_not_kept(head: bytes, query: bytes) -> None:
    heads = KnownHeads()
    heads.learn(head, {"query_string": query, "headers": []}, 0, keep_alive=True)
    assert heads.find(head) is None


def test_nothing_of_a_connection_is_kept() -> None:
    heads, head = KnownHeads(), b"POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\n"
    kept = {"query_string": b"", "path": "/", "headers": [(b"content-length", b"12")]}
    heads.learn(head, {**kept, "client": ("192.0.2.1", 1), "server": None, "scheme": "https"}, 12, keep_alive=True)
    known = heads.find(head)
    assert known is not None
    shared = {**kept, HEADERS_AT: {b"content-length": b"12"}}
    assert {name: each for name, each in known.scope.items() if each is not None} == shared
    assert (known.length, known.keep_alive) == (12, True)
