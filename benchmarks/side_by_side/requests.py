"""The requests that wrk sends: prepared whole, since a signature takes too long while the load runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

from tests.support.raw import post, signed, urlencoded

#: So many that none comes twice within a second or two; each has a phone of its own.
COUNT = 50_000
_TEXTS = (
    "Your order {number} is ready for collection",
    "Ваш заказ {number} готов к выдаче. Ждём вас каждый день с 9 до 21 часа!",
)
KANNEL_USER = ("bench", "bench")


def legacy(phone: str, text: str) -> bytes:
    """A signed send of the Messagio dialect that asks for reports, as a shop's script posts it."""
    return post(urlencoded(signed(phone=phone, txt=text, sending_method="viber", dlr="1")))


def kannel(phone: str, text: str) -> bytes:
    """The same message in Kannel's own API."""
    username, password = KANNEL_USER
    named = {"username": username, "password": password, "from": "Sender", "to": phone}
    query = urlencode({**named, "text": text, "charset": "UTF-8", "coding": "0" if text.isascii() else "2"})
    return f"GET /cgi-bin/sendsms?{query} HTTP/1.1\r\nHost: kannel\r\n\r\n".encode()


def messages(count: int = COUNT) -> Iterator[tuple[str, str]]:
    """Phones and texts: half of them short and ASCII, half Cyrillic with some 70 letters."""
    for number in range(count):
        yield f"3805{number:08d}", _TEXTS[number % 2].format(number=number)


def write_requests(file: Path, form: Callable[[str, str], bytes], count: int = COUNT) -> Path:
    """Write so many into a file as ``load.lua`` reads it."""
    whole = (form(phone, text) for phone, text in messages(count))
    file.write_bytes(b"".join(b"%d\n%b" % (len(each), each) for each in whole))
    return file
