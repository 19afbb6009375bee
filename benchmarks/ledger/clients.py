"""Clients at full speed, which write down what they were answered and never repeat."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.ledger.books import Books
from gateway.settings import Address, host_and_port
from tests.support.load import ACCEPTED, asked
from tests.support.raw import post, signed, urlencoded
from tests.support.servers import LOGINS
from tests.support.smsby import TOKEN

_MSG_ID = re.compile(rb'<msg_id phone="(\d+)">([^<]+)</msg_id>')
#: Seconds before a broken connection is made again.
_PAUSE = 0.05
#: Reports owed and not told, beyond which no more are asked for: SMSBAT would tell them long after the run.
_MOST_OWED = 600
#: How many of a hundred requests are of which kind; the others are single messages that nobody wants to know of.
_TOLD, _ASKED, _MANY, _DELAYED, _BULK = 15, 3, 2, 1, 1
#: The country code that has no numbers, and the beginning of those that the sandbox delivers nothing to.
_UNDELIVERABLE = "99901"
_ASKED_LOGIN, (_ASKED_SECRET, *_) = LOGINS["shop"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its bytes, its phones, what the partner is to be told of each, and the name of a bulk request."""

    raw: bytes
    phones: list[str]
    owed: dict[str, str]
    bulk: str | None = None


class Clients:
    """Everybody who sends. ``callback`` is told the ends of bulk requests.

    ``asks``: some messages are of the kind that SMSBAT is asked about. ``delays``: some may be held for a minute now.
    """

    def __init__(
        self, books: Books, dice: random.Random, callback: str, asks: bool, delays: Callable[[], bool]
    ) -> None:
        self._books = books
        self._dice = dice
        self._callback = callback
        self._asks = asks
        self._delays = delays
        self._numbers = itertools.count()

    async def send(self, address: Address) -> None:
        """One client of a node, until it is cancelled: it comes back when its connection breaks."""
        while True:
            try:
                reader, writer = await asyncio.open_connection(*host_and_port(address))
            except OSError:
                await asyncio.sleep(_PAUSE)
                continue
            try:
                while True:
                    await self._exchange(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(_PAUSE)
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = self._request()
        try:
            answer = await asked(reader, writer, request.raw)
        except (OSError, asyncio.IncompleteReadError):
            self._books.unknown += len(request.phones)
            raise
        self._note(request, answer)

    def _note(self, request: Request, answer: bytes) -> None:
        """Write down what was answered."""
        books = self._books
        if ACCEPTED not in answer and b'"success":"OK"' not in answer:
            books.refused.update(request.phones)
            return
        ids = {phone.decode(): each.decode() for phone, each in _MSG_ID.findall(answer)}
        for phone in request.phones:
            books.accepted[phone] = ids.get(phone)
        for phone, status in request.owed.items():
            books.owed[ids[phone]] = status
        if request.bulk is not None:
            books.bulks.add(request.bulk)

    # What is sent

    def _request(self) -> Request:
        roll = self._dice.randrange(100) if len(self._books.owed) - len(self._books.told) < _MOST_OWED else 99
        if (roll := roll - _TOLD) < 0:
            return self._told(1)
        if (roll := roll - _ASKED) < 0 and self._asks:
            return self._plain({"dlr": "1"})
        if (roll := roll - _MANY) < 0:
            return self._told(self._dice.randint(2, 15))
        if (roll := roll - _BULK) < 0:
            return self._bulk(self._dice.randint(2, 30))
        if (roll := roll - _DELAYED) < 0 and self._delays():
            return self._plain({"delay": "1"})
        return self._plain({})

    def _phone(self, prefix: str = "380") -> str:
        return f"{prefix}{next(self._numbers):09d}"

    def _plain(self, parameters: dict[str, str]) -> Request:
        """Of the account whose SMSBAT login is to be asked."""
        phone = self._phone()
        words = signed(_ASKED_SECRET, user=_ASKED_LOGIN, phone=phone, txt="hello", **parameters)
        return Request(post(urlencoded(words)), [phone], {phone: "delivered"} if "dlr" in parameters else {})

    def _told(self, count: int) -> Request:
        """Of the account that SMSBAT tells by webhook; a tenth of it ends badly."""
        owed = {}
        for _ in range(count):
            bad = self._dice.random() < 0.1
            owed[self._phone(_UNDELIVERABLE if bad else "380")] = "undelivered" if bad else "delivered"
        return Request(post(urlencoded(signed(phone=[*owed], txt="hello", dlr="1"))), [*owed], owed)

    def _bulk(self, count: int) -> Request:
        """A mailing at sms.by, whose end is told to an address in the request."""
        phones = [self._phone("375") for _ in range(count)]
        name = f"bulk-{phones[0]}"
        mailing = {"name": name, "alphaname_id": 444, "content": {"text": "hello"}, "delivery_list": phones}
        document = {"token": TOKEN, "callback_url": self._callback, "messages": [mailing]}
        body = json.dumps(document).encode()
        return Request(post(body, b"application/json", b"/api/v1/sendBulkViber"), phones, {}, name)
