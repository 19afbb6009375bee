"""Raw request bytes to fields: the forms real clients use, and anything else."""

import json
import re
from binascii import unhexlify

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.forms import MAX_FIELDS, Fields, TooManyFields, parse_urlencoded, read_fields, unescape
from gateway.wire.multipart import parse_multipart
from tests.support.raw import multipart

FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=XX"


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"a=1&b=2", {b"a": [b"1"], b"b": [b"2"]}),
        (b"phone=1&phone=2&phone=1", {b"phone": [b"1", b"2", b"1"]}),
        (b"txt=a+b%20c%2Bd", {b"txt": [b"a b c+d"]}),
        (b"txt=%D0%9F%d1%80", {b"txt": ["Пр".encode()]}),
        (b"txt=%CF%F0", {b"txt": [b"\xcf\xf0"]}),
        ("txt=Привет мир".encode(), {b"txt": ["Привет мир".encode()]}),
        (b"txt=100%&x=%zz%4", {b"txt": [b"100%"], b"x": [b"%zz%4"]}),
        (b"txt=a=b=c", {b"txt": [b"a=b=c"]}),
        (b"txt=a;b", {b"txt": [b"a;b"]}),
        (b"&&a&b=&", {b"a": [b""], b"b": [b""]}),
        (b"p%68one=1", {b"phone": [b"1"]}),
        (b"", {}),
    ],
)
def test_urlencoded(raw: bytes, values: dict[bytes, list[bytes]]) -> None:
    assert parse_urlencoded(raw) == values


def test_blank_counts_as_not_sent_and_the_last_single_value_wins() -> None:
    fields = read_fields(b"z=query", FORM, b"image_id=&txt=one&txt=two&x=a&x=&phone=1&phone=&phone=2&z=")
    assert fields.last(b"image_id") is None
    assert fields.last(b"txt") == b"two"
    assert fields.last(b"x") == b"a"
    assert fields.last(b"z") == b"query"
    assert fields.last(b"y") is None
    assert fields.all(b"phone") == [b"1", b"2"]


def test_the_body_comes_before_the_query() -> None:
    fields = read_fields(b"user=query&from=query&phone=1", FORM, b"user=body&phone=2&phone=3")
    assert fields.last(b"user") == b"body"
    assert fields.last(b"from") == b"query"
    assert fields.all(b"phone") == [b"2", b"3"]


@pytest.mark.parametrize(
    "content_type", [b"", b"text/plain", b"application/octet-stream", b"multipart/form-data", FORM]
)
def test_a_form_looking_body_is_a_form_whatever_its_type(content_type: bytes) -> None:
    assert read_fields(b"", content_type, b"user=u&txt=a+b").values == {b"user": [b"u"], b"txt": [b"a b"]}


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b'{"phone": 79031234567, "txt": "a"}', {b"phone": [b"79031234567"], b"txt": [b"a"]}),
        (b'{"phone": [79031234567, "79165557755"]}', {b"phone": [b"79031234567", b"79165557755"]}),
        (
            b' \n {"dlr_timeout": 60.50, "dlr": true, "hex": false}',
            {b"dlr_timeout": [b"60.50"], b"dlr": [b"1"], b"hex": [b"0"]},
        ),
        (b'{"txt": "\\u041f\\ud83d\\ude00"}', {b"txt": ["П😀".encode()]}),
        (b'{"txt": null, "x": {"y": 1}, "z": [[1]]}', {b"txt": [b""], b"x": [b""], b"z": [b""]}),
        (b'{"phone": 123456789012345678901234567890}', {b"phone": [b"123456789012345678901234567890"]}),
        (b'\xef\xbb\xbf{"txt": "a"}', {b"txt": [b"a"]}),
    ],
)
def test_json_object(body: bytes, values: dict[bytes, list[bytes]]) -> None:
    fields = read_fields(b"", b"text/html", body)
    assert (fields.values, fields.unicode) == (values, True)


@pytest.mark.parametrize("body", [b'{"txt": ', b"{" * 100_000, b'{"txt": "\xff"}'])
def test_json_that_is_none_has_no_parameters(body: bytes) -> None:
    assert read_fields(b"charset=CP1251", b"application/json", body) == Fields({b"charset": [b"CP1251"]}, unicode=False)


def test_multipart_values_are_the_bytes_of_the_parts() -> None:
    raw = multipart([(b"phone", b"1"), (b"txt", b"a+b %20\r\n\xcf"), (b"phone", b"2"), (b"image_id", b"")])
    head, _, body = raw.partition(b"\r\n\r\n")
    content_type = next(line[14:] for line in head.split(b"\r\n") if line.startswith(b"Content-Type: "))
    assert read_fields(b"", content_type, body).values == {
        b"phone": [b"1", b"2"],
        b"txt": [b"a+b %20\r\n\xcf"],
        b"image_id": [b""],
    }


@pytest.mark.parametrize("preamble", [b"This is a message for people.\r\n", b"\r\n", b""])
def test_multipart_with_a_preamble_and_many_headers(preamble: bytes) -> None:
    headers = b"".join(b"X-%d: y\r\n" % number for number in range(20)) + b"X-Long: " + b"z" * 9000 + b"\r\n"
    part = b'--XX\r\n%bContent-Disposition: form-data; name="user"\r\n\r\nlogin\r\n--XX--\r\n' % headers
    assert parse_multipart(b"XX", preamble + part)[0] == [(b"user", b"login")]


def test_more_parts_than_any_client_sends_are_refused() -> None:
    part = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    with pytest.raises(TooManyFields):
        read_fields(b"", MULTIPART, part * (MAX_FIELDS + 2) + b"--XX--\r\n")


@pytest.mark.parametrize(
    "body",
    [
        b"--XX--\r\n",
        b'--XX\r\nContent-Disposition: form-data; name="user"\r\n\r\nlogin',
        b'--XX\r\nContent-Disposition: form-data; name="user"\r\n\r\nlogin\r\n--XX',
        b"--YY\r\n\r\nx\r\n--YY--\r\n",
        b"--XX\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--XX--\r\n",
        b"nothing of the kind",
    ],
)
def test_a_broken_or_empty_multipart_body_has_no_parameters(body: bytes) -> None:
    assert parse_multipart(b"XX", body) == ([], {})
    assert read_fields(b"user=u", MULTIPART, body).values == {b"user": [b"u"]}


def test_a_body_of_nothing_but_separators_is_refused() -> None:
    with pytest.raises(TooManyFields):
        read_fields(b"", FORM, b"a&" * (MAX_FIELDS + 2))
    with pytest.raises(TooManyFields):
        read_fields(b"", b"", json.dumps({"phone": [1] * (MAX_FIELDS + 2)}).encode())


@given(st.binary(), st.sampled_from([b"", FORM, MULTIPART, b"application/json"]), st.binary())
def test_any_bytes_are_fields(query: bytes, content_type: bytes, body: bytes) -> None:
    fields = read_fields(query, content_type, body)
    assert all(isinstance(value, bytes) for values in fields.values.values() for value in values)


@given(st.lists(st.tuples(st.binary(min_size=1), st.binary())))
def test_escaped_bytes_arrive_as_they_were(pairs: list[tuple[bytes, bytes]]) -> None:
    raw = b"&".join(_escaped(name) + b"=" + _escaped(value) for name, value in pairs)
    expected: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        expected.setdefault(name, []).append(value)
    assert parse_urlencoded(raw) == expected


#: What is nearly an escape, and what means something in quoted-printable.
PIECES = [
    b"%",
    b"%%",
    b"%4",
    b"%41",
    b"%d0%9F",
    b"%0a",
    b"%0D%0A",
    b"%3d",
    b"%25",
    b"%zz",
    b"4",
    b"F",
    b"=",
    b"_",
    b".",
]


@given(st.lists(st.sampled_from([*PIECES, b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b"\xff"])).map(b"".join))
def test_only_whole_escapes_are_read(raw: bytes) -> None:
    expected = re.sub(rb"%[0-9A-Fa-f]{2}", lambda escape: unhexlify(escape[0][1:]), raw)
    assert unescape(raw) == expected


def _escaped(raw: bytes) -> bytes:
    return b"".join(b"%%%02x" % byte for byte in raw)


@given(st.lists(st.tuples(st.from_regex(rb"[a-z]{1,8}", fullmatch=True), st.binary())))
def test_multipart_round_trip(pairs: list[tuple[bytes, bytes]]) -> None:
    body = multipart(pairs, b"a-boundary-not-in-the-data").partition(b"\r\n\r\n")[2]
    assert parse_multipart(b"a-boundary-not-in-the-data", body) == (pairs, {})
