"""Charsets and newlines."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.text import Undecodable, decode, normalize_newlines


@pytest.mark.parametrize(
    "written",
    [
        "a\nb",
        "a\r\nb",
        "a\rb",
        "a\\nb",
        "a\\rb",
        "a\\r\\nb",
        "a<br>b",
        "a<br/>b",
        "a<br />b",
        "a<BR>b",
        "a<br />\nb",
        "a<br>\r\nb",
    ],
)
def test_every_newline_becomes_one_lf(written: str) -> None:
    assert normalize_newlines(written) == "a\nb"


def test_two_newlines_stay_two() -> None:
    assert normalize_newlines("a\r\n\r\nb<br><br/>c\\n\\nd\n\re") == "a\n\nb\n\nc\n\nd\n\ne"


def test_upper_case_behind_a_backslash_is_text() -> None:
    assert normalize_newlines(r"AC\NIKE C:\Reports") == r"AC\NIKE C:\Reports"


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-be", "cp1251"])
def test_cyrillic_in_each_charset(codec: str) -> None:
    assert decode("Привет".encode(codec), codec) == "Привет"


@pytest.mark.parametrize(
    ("raw", "codec"),
    [
        (b"\xcf\xf0", "utf-8"),
        (b"\xed\xa0\x80", "utf-8"),
        (b"\x04\x1f\x04", "utf-16-be"),
        (b"\xd8\x00", "utf-16-be"),
        (b"\x98", "cp1251"),
        (b"a\0b", "utf-8"),
    ],
)
def test_what_is_no_text(raw: bytes, codec: str) -> None:
    with pytest.raises(Undecodable):
        decode(raw, codec)


@given(st.binary(), st.sampled_from(["utf-8", "utf-16-be", "cp1251"]))
def test_any_bytes_are_text_or_refused(raw: bytes, codec: str) -> None:
    with contextlib.suppress(Undecodable):
        assert decode(raw, codec).encode(codec) == raw
