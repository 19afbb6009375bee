"""Many clients at once, each on its own connection, writing down what it was answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.settings import Address, host_and_port
from tests.support.raw import post, signed, urlencoded

ACCEPTED = b"<code>0</code>"


@dataclass
class Books:
    """What the clients saw: numbers answered with code 0, other answers, broken connections."""

    accepted: list[str] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)
    broken: int = 0
    longest: float = 0.0


def numbers(count: int, prefix: str = "3809") -> list[str]:
    """Recipients, each of which occurs once."""
    return [f"{prefix}{number:08d}" for number in range(count)]


def run_load(address: Address, phones: list[str], connections: int) -> Books:
    """Send one message to each phone over so many connections."""
    books = Books()
    asyncio.run(_load(address, iter(phones), connections, books))
    return books


async def _load(address: Address, phones: Iterator[str], connections: int, books: Books) -> None:
    await asyncio.gather(*(_client(address, phones, books) for _ in range(connections)))


async def _client(address: Address, phones: Iterator[str], books: Books) -> None:
    """A client reconnects when its connection breaks, and does not repeat: its answer is unknown."""
    try:
        reader, writer = await asyncio.open_connection(*host_and_port(address))
    except OSError:
        books.broken += 1
        return
    try:
        for phone in phones:
            await _request(reader, writer, phone, books)
    except (OSError, asyncio.IncompleteReadError):
        books.broken += 1
    finally:
        writer.close()


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> bytes:
    """Send one request, and read the body of its answer."""
    writer.write(raw)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return await reader.readexactly(length)


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, phone: str, books: Books) -> None:
    started = time.monotonic()
    body = await asked(reader, writer, post(urlencoded(signed(phone=phone, txt=f"message to {phone}"))))
    books.longest = max(books.longest, time.monotonic() - started)
    if ACCEPTED in body:
        books.accepted.append(phone)
    else:
        books.refused.append(body)
