"""What PHP writes and reads: bracket arrays, JSON with escaped slashes, and how many SMS a text takes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.messages import phone_digits
from gateway.core.parts import PartsTable
from gateway.wire.forms import Fields, TooManyFields, read_fields
from gateway.wire.json import dump_as_php

FORM = b"application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        (b"x[]=a&x[]=b", [b"a", b"b"]),
        (b"x[0]=a&x[1]=b", [b"a", b"b"]),
        (b"x[1]=b&x[0]=a", [b"a", b"b"]),
        (b"x[0][0]=a&x[0][1]=b&x[1][0]=c", [[b"a", b"b"], [b"c"]]),
        (b"x[0][phone]=1&x[0][text]=t", [{b"phone": b"1", b"text": b"t"}]),
        (b"x%5B0%5D%5Bdelivery_list%5D%5B%5D=1&x[0][delivery_list][]=2", [{b"delivery_list": [b"1", b"2"]}]),
        (b"x[a]=1&x[5]=2", {b"a": b"1", b"5": b"2"}),
        # A client that leaves out what is null leaves a gap.
        (b"x[0][0]=a&x[0][2]=c&x[2][]=d", [[b"a", None, b"c"], None, [b"d"]]),
        (b"x[4000000000]=a", {b"4000000000": b"a"}),
        (b"x[5000]=a", {b"5000": b"a"}),
        (b"x[0]=a&x[0][0]=b", [[b"b"]]),
        # What is no array, another's name, or no well-formed one.
        (b"x=a", None),
        (b"xy[0]=a", None),
        (b"x[0=a", None),
        (b"x[0]z=a", None),
        (b"x" + b"[0]" * 9 + b"=a", None),
    ],
)
def test_bracket_arrays(query: bytes, tree: Any) -> None:
    assert read_fields(query, b"", b"").tree(b"x") == tree
    assert read_fields(b"", FORM, query).tree(b"x") == tree


@pytest.mark.parametrize(
    ("written", "tree"),
    [
        (b'{"0":"a","2":"c"}', [b"a", None, b"c"]),
        (b'{"1":{"0":"a","1":"b"}}', [None, [b"a", b"b"]]),
        (b'{"0":"a","b":"c"}', {b"0": b"a", b"b": b"c"}),
        (b'{"5000":"a"}', {b"5000": b"a"}),
        (b"{}", {}),
    ],
)
def test_a_list_with_gaps_as_json_encode_writes_it(written: bytes, tree: Any) -> None:
    """After ``array_unique`` and its like; a PHP service reads it as the array that it was."""
    assert read_fields(b"", b"application/json", b'{"x":%b}' % written).tree(b"x") == tree


NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
TREES = st.recursive(
    st.text(max_size=12).filter(lambda text: "\0" not in text),
    lambda inner: st.lists(inner, min_size=1, max_size=4) | st.dictionaries(NAMES, inner, min_size=1, max_size=4),
    max_leaves=12,
).filter(lambda tree: not isinstance(tree, str))


def depth(tree: Any) -> int:
    members = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + max(map(depth, members)) if members else 0


def as_php_writes(name: str, tree: Any) -> list[str]:
    """``http_build_query``, independent of the code that reads it."""
    if isinstance(tree, str):
        return [f"{quote(name, safe='')}={quote(tree, safe='')}"]
    members = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return [pair for key, each in members for pair in as_php_writes(f"{name}[{key}]", each)]


def in_bytes(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key.encode(): in_bytes(each) for key, each in tree.items()}
    return [in_bytes(each) for each in tree] if isinstance(tree, list) else tree.encode()


@given(TREES.filter(lambda tree: depth(tree) <= 7))
def test_a_tree_arrives_as_it_was_sent_in_either_form(tree: Any) -> None:
    form = read_fields("&".join(as_php_writes("x", tree)).encode(), b"", b"")
    document = read_fields(b"", b"application/json", json.dumps({"x": tree}).encode())
    assert form.tree(b"x") == document.tree(b"x") == in_bytes(tree)


@given(st.binary(max_size=200))
def test_any_bytes_are_some_fields(raw: bytes) -> None:
    fields = read_fields(b"x[" + raw, FORM, raw)
    fields.tree(b"x")


SCALARS = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(SCALARS, st.lists, max_leaves=9))
def test_any_json_is_some_tree(value: Any) -> None:
    read_fields(b"", b"", json.dumps({"x": value}).encode()).tree(b"x")


def test_json_too_deep_or_too_much() -> None:
    deep = b'{"x":' + b"[" * 500 + b"]" * 500 + b"}"
    assert read_fields(b"", b"", deep).tree(b"x") is not None
    assert read_fields(b"", b"", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}") == Fields({})
    with pytest.raises(TooManyFields):
        read_fields(b"x[]=1&" * 30, b"", b"", most=20)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_php_json(tree: Any) -> None:
    written = dump_as_php(tree)
    assert json.loads(written) == tree
    assert written.isascii()
    assert b"/" not in written.replace(b"\\/", b"")


def test_php_json_is_byte_for_byte() -> None:
    tree = {"link": "https://site.by", "text": 'Ж\U0001f600\n"\\', "list": [], "map": {}, "n": 1}
    assert dump_as_php(tree) == (
        rb'{"link":"https:\/\/site.by","text":"\u0416\ud83d\ude00\n\"\\","list":[],"map":{},"n":1}'
    )


TABLE = PartsTable(
    [160, 306, 459, 628, 785, 942, 1071, 1224, 1377, 1530],
    [70, 134, 201, 252, 315, 378, 469, 536, 603, 670],
    frozenset("\n[]\\^{}|€"),
)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("a" * 160, (1, 160)),
        ("a" * 161, (2, 161)),
        ("a" * 306, (2, 306)),
        ("a" * 307, (3, 307)),
        ("a" * 1530, (10, 1530)),
        ("a" * 1531, None),
        ("€" * 80, (1, 160)),
        ("a\n[]", (1, 7)),
        ("я" * 70, (1, 70)),
        ("я" * 71, (2, 71)),
        ("€" * 69 + "я", (1, 70)),
        ("я" * 670, (10, 670)),
        ("я" * 671, None),
        ("\U0001f600", (1, 2)),
        ("", (1, 0)),
    ],
)
def test_parts(text: str, counted: tuple[int, int] | None) -> None:
    assert TABLE.count(text) == counted


@given(st.text(max_size=1600))
def test_more_text_never_takes_fewer_parts(text: str) -> None:
    shorter, whole = TABLE.count(text[:-1]), TABLE.count(text)
    assert whole is None or (shorter is not None and shorter[0] <= whole[0])


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("375291234567", "375291234567"),
        (" 375291234567", "375291234567"),
        ("+375 (29) 123-45-67", "375291234567"),
        ("375\u00a029\t1234567\r\n", "375291234567"),
        ("00375291234567", "375291234567"),
        ("00123456", None),
        ("0012345", None),
        ("[375] 29 1234567", "375291234567"),
        ("375291234567.0", "375291234567"),
        ("1.234.567", "1234567"),
        ("123456", None),
        ("1234567890123456", None),
        ("+7916xxxxxxxx", None),
        ("", None),
        ("\u0663\u0664\u0665\u0666\u0667\u0668\u0669", None),
    ],
)
def test_phones(written: str, digits: str | None) -> None:
    assert phone_digits(written) == digits
