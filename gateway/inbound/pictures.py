"""Uploaded pictures at their public addresses, where SMSBAT and Viber fetch them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.core.pictures import Picture
from gateway.errors import StoreUnavailable
from gateway.inbound.album import Album, picture_name
from gateway.inbound.body import App, Event, Headers, Receive, Send
from gateway.wire.images import MEDIA_TYPES

log = structlog.get_logger("gateway.pictures")

_RANGE = re.compile(rb"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
#: What a picture's bytes say never changes, and whatever they may hold besides a picture is never run.
_ALWAYS = [
    (b"accept-ranges", b"bytes"),
    (b"cache-control", b"public, max-age=31536000, immutable"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"x-content-type-options", b"nosniff"),
]


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: list[tuple[bytes, bytes]]
    start: int = 0
    end: int = 0


_NOT_FOUND = _Reply(404, [(b"content-length", b"0")])
_UNAVAILABLE = _Reply(503, [(b"content-length", b"0"), (b"retry-after", b"10")])
_NOT_ALLOWED = _Reply(405, [(b"content-length", b"0"), (b"allow", b"GET, HEAD")])


class PictureApp:
    """Serves pictures, and leaves every other request to the application behind it."""

    def __init__(self, album: Album, otherwise: App) -> None:
        self._album = album
        self._otherwise = otherwise

    def __call__(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        name = picture_name(scope["path"])
        if name is None:
            return self._otherwise(scope, receive, send)
        # A bucket's client needs a task.
        return asyncio.create_task(self._serve(name, scope, send))

    async def _serve(self, name: tuple[str, str], scope: Any, send: Send) -> None:
        picture = None
        try:
            picture = await self._album.at(*name)
            reply = _reply(scope["method"], dict(scope["headers"]), picture)
        except StoreUnavailable:
            reply = _UNAVAILABLE
        await self._send(reply, picture, send)

    async def _send(self, reply: _Reply, picture: Picture | None, send: Send) -> None:
        """The head goes out with the first bytes: a picture that can't be read is not found, not cut off."""
        started = False
        if picture is not None and reply.end:
            try:
                async for chunk in self._album.read(picture, reply.start, reply.end):
                    if not started:
                        started = True
                        await send(_head(reply))
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except OSError as error:
                log.error("a picture on record can't be read", picture=picture.id[:6], error=error.strerror)
                if started:
                    return  # an answer that ends early closes the connection
                reply = _NOT_FOUND
        if not started:
            await send(_head(reply))
        await send({"type": "http.response.body", "body": b""})


def _head(reply: _Reply) -> Event:
    return {"type": "http.response.start", "status": reply.status, "headers": reply.headers}


def _reply(method: str, headers: Headers, picture: Picture | None) -> _Reply:
    if method not in ("GET", "HEAD"):
        return _NOT_ALLOWED
    if picture is None:
        return _NOT_FOUND
    etag = b'"%b"' % picture.id.encode()
    known = [*_ALWAYS, (b"etag", etag)]
    wanted_other = headers.get(b"if-none-match", b"")
    if etag in wanted_other or wanted_other.strip() == b"*":
        return _Reply(304, known)
    known.append((b"content-type", MEDIA_TYPES[picture.format].encode()))
    asked = headers.get(b"range") if method == "GET" and headers.get(b"if-range", etag) == etag else None
    return _part(method, known, picture.size, _RANGE.fullmatch(asked) if asked else None)


def _part(method: str, headers: list[tuple[bytes, bytes]], size: int, asked: re.Match[bytes] | None) -> _Reply:
    """All of it, or the one range asked for; several at once are answered with all of it."""
    if asked and asked[2] and int(asked[2]) < int(asked[1]):
        asked = None
    start, end = _span(asked, size) if asked else (0, size)
    if start >= end:
        refused = [(b"content-length", b"0"), (b"content-range", b"bytes */%d" % size)]
        return _Reply(416, refused)
    headers = [*headers, (b"content-length", b"%d" % (end - start))]
    if asked:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))
    return _Reply(206 if asked else 200, headers, start, end if method == "GET" else 0)


def _span(asked: re.Match[bytes], size: int) -> tuple[int, int]:
    if asked[3]:
        return max(0, size - int(asked[3])), size
    return int(asked[1]), min(size, int(asked[2]) + 1) if asked[2] else size
