"""Which addresses are of the web, and which callbacks may reach: ranges and spellings, none of which is dialled."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest

from gateway.core.addresses import is_base_address, is_web_address, may_be_called, may_reach
from gateway.outbound.web import NoWebAnswer, WebClient

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.0.1",
    "192.169.0.1",
    "2606:4700::1111",
]
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "::ffff:0:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
    "fe80::5efe:169.254.169.254",
]
SPECIAL = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2001:10::1",
    "2001:20::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fdff::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "not an address",
    "",
]
#: Ways to write addresses that resolvers understand.
SPELLINGS = [
    "127.1",
    "127.0.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0",
    "0.0.0.0",
    "10.1",
    "0xa000001",
    "167772161",
    "192.168.257",
    "169.254.43518",
    "2852039166",
    "0xA9FEA9FE",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00:ec2::254]",
]

WEB = [
    "https://example.com",
    "HTTP://EXAMPLE.COM:8080/a.php?x=1&y=[2]#top",
    "http://127.0.0.1:1",
    "http://[2606:4700::1111]:80/",
    "https://user:password@example.com/dlr.php",
    "http://localhost:",
    "http://my_host/",
    "http://пример.бел/картинка.png?имя=1",
    "http://xn--e1afmkfd.xn--90ais/",
    "http://2130706433/",
    # As it is copied from a page.
    "http://example.com/\u200b",
]
NOT_OF_THE_WEB = [
    "",
    "example.com",
    "ftp://example.com/",
    "http:///x",
    "http://:80/",
    "http://user@/",
    "http://[x/",
    "https://[::1",
    "http://[v1.a]/",
    "http://[127.0.0.1]/",
    "http://a[b]/",
    "http://256.1.1.1/",
    "http://127.0.0.1:80a82",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:99999/",
    "http://user:pass/word@example.com/",
    "\ufeffhttp://example.com/",
    "http://example.com/a b",
    "http://example.com/\u00a0",
    "http://example.com/\n",
    "http://example.com/\x7f",
]
#: Of the web, as far as anybody can tell, but with names that are none of today's rules.
NOT_TO_BE_CALLED = [
    "http://example\u200b.com/",
    "http://☃.example/",
    "http://-пример.бел/",
    "http://xn--/",
    "https://xn--i-7iq.ws/a.png",
]


@pytest.mark.parametrize("url", NOT_TO_BE_CALLED)
def test_what_others_may_fetch_and_the_gateway_can_not(url: str) -> None:
    assert is_web_address(url)
    assert not may_be_called(url)


@pytest.mark.parametrize("url", WEB)
def test_what_is_of_the_web(url: str) -> None:
    assert is_web_address(url)
    assert may_be_called(url)
    assert httpx.URL(url).host


@pytest.mark.parametrize("url", NOT_OF_THE_WEB)
def test_what_is_not(url: str) -> None:
    assert not is_web_address(url)


def test_what_paths_can_be_put_behind() -> None:
    assert is_base_address("https://example.com/api")
    assert not any(is_base_address(f"https://example.com/api{end}") for end in ("?", "?x=1", "#", "#top"))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert may_reach(address, private=False)
    assert may_reach(address, private=True)


@pytest.mark.parametrize("address", [*SPECIAL, *METADATA])
def test_special_addresses_may_not(address: str) -> None:
    assert not may_reach(address, private=False)


@pytest.mark.parametrize("address", METADATA)
def test_metadata_of_clouds_never(address: str) -> None:
    assert not may_reach(address, private=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "::1", "fd00::1"])
def test_private_addresses_when_the_file_says_so(address: str) -> None:
    assert may_reach(address, private=True)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "not an address"])
def test_some_not_even_then(address: str) -> None:
    assert not may_reach(address, private=True)


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Sockets that were made: an address that is refused has none."""
    made: list[Any] = []
    real = socket.socket

    def record(*arguments: Any, **options: Any) -> Any:
        if arguments and arguments[0] in (socket.AF_INET, socket.AF_INET6):
            made.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr("gateway.outbound.transports.socket.socket", record)
    return made


def sent(url: str, private: bool) -> Any:
    async def whole() -> Any:
        client = WebClient()
        try:
            return await client.send("POST", url, private, "text/plain", b"x")
        finally:
            await client.aclose()

    return asyncio.run(whole())


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_gets_around_the_guard(dialled: list[Any], scheme: str, host: str) -> None:
    """The address that would be connected to is looked at, whatever it was written as; or nothing understands it."""
    answer = sent(f"{scheme}://{host}:9/x", private=False)
    assert isinstance(answer, NoWebAnswer)
    assert dialled == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_what_the_guard_refuses_is_called_so(dialled: list[Any], host: str) -> None:
    assert sent(f"http://{host}:9/x", private=False) == NoWebAnswer("address refused")


def test_a_name_that_resolves_to_a_public_and_a_private_address(
    dialled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each address is judged when it is about to be dialled: of two, the private one is never tried."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def resolve(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("127.0.0.1", "169.254.169.254")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    dialled.clear()
    assert isinstance(sent("http://rebound.example/x", private=False), NoWebAnswer)
    assert dialled == []
    listener.close()


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "file:///etc/passwd", "http://", "//x", "", "http://[::1", "http://a b/"]
)
def test_what_is_no_web_address(url: str) -> None:
    assert isinstance(sent(url, private=False), NoWebAnswer)
