"""Settings that are wrong are told all at once, in words that quote nothing."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import ConfigurationError
from gateway.settings import Settings
from tests.support.process import command

PORT = "there is no port above 65535"
FORM = "it must be host:port, such as 127.0.0.1:9090"
NO_WEB = "--public-url / GATEWAY_PUBLIC_URL: it must be an address with http:// or https://"
NO_MEDIA = "GATEWAY_MEDIA is neither a folder nor s3://bucket/prefix"
NO_DATABASE = (
    "GATEWAY_DATABASE is sqlite:///path of a file, or postgresql://user:password@host/database with the password"
    " escaped as in any URL"
)
NO_CERTIFICATE = "GATEWAY_TLS_LISTEN needs GATEWAY_TLS_CERTIFICATE"


def problems(**settings: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Settings(**settings)
    return str(caught.value).splitlines()


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Whatever was only looked at when the rest was right."""
    assert problems(
        database="mysql://me:Kanarie@db/x",
        workers=0,
        listen="nowhere",
        tls_listen="127.0.0.1:99999",
        operator_listen="127.0.0.1:99999",
        public_url="http://[Kanarie/",
        media="ftp://me:Kanarie@x/y",
    ) == [
        NO_DATABASE,
        "--workers / GATEWAY_WORKERS: Input should be greater than or equal to 1",
        f"--listen / GATEWAY_LISTEN: {FORM}",
        f"--tls-listen / GATEWAY_TLS_LISTEN: {PORT}",
        NO_CERTIFICATE,
        f"--operator-listen / GATEWAY_OPERATOR_LISTEN: {PORT}",
        NO_WEB,
        NO_MEDIA,
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"listen": "127.0.0.1:1,127.0.0.1:65536"}, f"--listen / GATEWAY_LISTEN: {PORT}"),
        ({"listen": "127.0.0.1:1,"}, f"--listen / GATEWAY_LISTEN: {FORM}"),
        ({"operator_listen": "127.0.0.1:1,127.0.0.1:2"}, f"--operator-listen / GATEWAY_OPERATOR_LISTEN: {FORM}"),
        ({"operator_listen": ""}, f"--operator-listen / GATEWAY_OPERATOR_LISTEN: {FORM}"),
        ({"tls_listen": "127.0.0.1:443"}, NO_CERTIFICATE),
        ({"listen": ""}, "GATEWAY_LISTEN and GATEWAY_TLS_LISTEN are both blank"),
        *(({"database": each}, NO_DATABASE) for each in ("", "sqlite://", "sqlite:///:memory:", "postgresql://db")),
        *(({"media": each}, NO_MEDIA) for each in ("s3://", "s3:///prefix", "http://x")),
        *(({"public_url": each}, NO_WEB) for each in ("me", "https:///x", "https://x:0", "https://x?y", "https://x#y")),
    ],
)
def test_what_is_wrong_with_one(settings: dict[str, str], said: str) -> None:
    assert problems(**settings) == [said]


def test_settings_that_are_right() -> None:
    Settings(
        listen="",
        tls_listen="[::]:65535,example.com:443",
        tls_certificate="tls.crt",
        public_url="https://sms.example.com/gateway",
        media="s3://bucket/prefix",
        database="postgresql://me:password@db/gateway",
    )


def test_the_demo_tells_it_in_words_too() -> None:
    told = command("demo", "--operator-port", "99999")
    assert (told.returncode, told.stderr) == (2, f"--operator-listen / GATEWAY_OPERATOR_LISTEN: {PORT}\n")
