"""Every signature vector of the wire page, and the comparison itself."""

import pytest

from gateway.wire.signatures import matches, md5_signature

SECRET = "4Ab2ln4FEa32"
FRENCH = "Съешь еще этих французских булок"
VECTORS = [
    (["onvUser", "Sender", "79041231231", "hello", SECRET], "ac748f3290de34c2bd7aec56f3100e29"),
    (["hitfm", "HitFM", "79031234567", FRENCH, "test_key"], "29def94e0f987855bbf4407e93b088d7"),
    (["hitfm", "HitFM", "79031234567", "79165557755", FRENCH, "test_key"], "f7d36db5c9966c6200de7c8f3dcc890a"),
    (["login", "FROM", "hello", "5eCrET"], "f4b447d259fb90514e16bebe2bf3dc7d"),
    (["login", "FROM", "79031234567", "hello", "5eCrET"], "b5c0d2b33bb1293006d803bd7c6461f1"),
    (["login", "FROM", "79031234567", "79165557755", "hello", "5eCrET"], "ac989b951e5e42a3cd48b83ac40d822f"),
    (["test", "from", "to", "text", "secret"], "6b57dabc49d963b8a9dbd48d60779698"),
    (["test1", "from", "to", "text", "secret2"], "e0ca61370304b800d30c573e8a011833"),
    (["123123", "from", "to", "text", "3534t5g"], "72431e042fe0fe6f49c98e3b2c028935"),
    (["onvUser", "Sender", "380501234567", "Привет", SECRET], "153c909dd1735673c5420f074ce64d8a"),
    (["onvUser", "Sender", "380501234567", bytes.fromhex("cff0e8e2e5f2"), SECRET], "2a202827f4106560cb5df405b945fb53"),
    (
        ["onvUser", "Sender", "380501234567", bytes.fromhex("041f04400438043204350442"), SECRET],
        "4b88dc0a8f2d1aab9286745dbe3e4b8c",
    ),
    (["onvUser", "Sender", "79041231231", SECRET], "c330c04c74eda7293218c892b4487830"),
    (["onvUser", "Sender", "79041231231", "line1\r\nline2", SECRET], "c281d62e84a724f26f2b745b2a38cb01"),
    (["onvUser", "Sender", "79041231231", "line1<br />\nline2", SECRET], "c792aec8386f1fcff3f75f14b68bbbf7"),
    (["onvUser", "Sender", "79041231231", "79165557755", "hello", SECRET], "f895c93f5fc8fcbab04b904e5161f68b"),
    (["onvUser", "Sender", "79165557755", "79041231231", "hello", SECRET], "ac6175d00b1e41d3f15341a8605dbb8c"),
    (["onvUser", "Sender", "79041231231", "79041231231", "hello", SECRET], "2c54f7a98a8b2429d21d45f25ef4e400"),
]


@pytest.mark.parametrize(("fields", "expected"), VECTORS)
def test_vector_of_the_wire_page(fields: list[str | bytes], expected: str) -> None:
    *values, secret = [each.encode() if isinstance(each, str) else each for each in fields]
    signature = md5_signature(values, secret)
    assert signature == expected.encode()
    assert matches(expected.upper().encode(), signature)
    assert not matches(expected[:-1].encode(), signature)
    assert not matches("ё".encode(), signature)
