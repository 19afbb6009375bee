"""Codes that subscribers are to tell, as hashes: who reads the database can't tell them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, insert, select, update

from gateway.store.database import Database
from gateway.store.tables import codes

_INSERT = insert(codes)
Here = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """When the right code was told, in milliseconds since the epoch, and at which try."""

    at: int
    tries: int


class UnknownCode(LookupError):
    """No code is asked for by this id."""


class CodeStore:
    """Every method raises ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, account: str, digits: str, code: str, attempts: int, until: int) -> str:
        """Keep a code that may be tried so many times until a moment; returns the id that it is asked for by."""
        code_id, salt = secrets.token_hex(16), secrets.token_hex(8)
        hashed = await asyncio.to_thread(_hashed, salt, code)
        row = {"id": code_id, "account": account, "digits": digits, "hash": f"{salt}:{hashed}"}
        await self._database.writer.write(_INSERT, [{**row, "attempts": attempts, "tries": 0, "until": until}])
        return code_id

    async def confirm(self, account: str, code_id: str, digits: str, code: str, now: int) -> Confirmed | None:
        """Try a code: the right one is confirmed, once and in time. Raises ``UnknownCode``."""
        here = (codes.c.id == code_id, codes.c.account == account, codes.c.digits == digits)
        salt, _, known = (await self._database.read(self._hash, here)).partition(":")
        right = hmac.compare_digest(known, await asyncio.to_thread(_hashed, salt, code))
        return await self._database.writer.run(lambda connection: _tried(connection, here, right, now))

    def _hash(self, here: Here) -> str:
        with self._database.engine.connect() as connection:
            found: str | None = connection.scalar(select(codes.c.hash).where(*here))
        if found is None:
            raise UnknownCode
        return found


def _tried(connection: Connection, here: Here, right: bool, now: int) -> Confirmed | None:
    row = connection.execute(select(codes).where(*here).with_for_update()).one()
    if row.used_at is not None or row.tries >= row.attempts or row.until < now:
        return None
    connection.execute(update(codes).where(*here).values(tries=row.tries + 1, used_at=now if right else None))
    return Confirmed(now, row.tries + 1) if right else None


def _hashed(salt: str, code: str) -> str:
    """Slow on purpose: a code has few digits, and all of them can be tried by who has the hash."""
    return hashlib.scrypt(code.encode(), salt=salt.encode(), n=2**12, r=8, p=1, dklen=24).hex()
