"""One HTTP call to SMSBAT, and what is known of it when it ends."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from gateway.mapping.accounts import SmsbatLogin
from gateway.outbound.connections import (
    CONNECT_TIMEOUT,
    LONGEST_ANSWER,
    AnswerLost,
    Connections,
    HttpAnswer,
    NotWritten,
)
from gateway.outbound.web import PLAIN, reason_of, retry_after

_HEADERS = {"Content-Type": "application/json", "Accept": "application/json", **PLAIN}
#: How zlib calls a stream whose head tells which of them it is.
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Answered:
    """SMSBAT answered."""

    status: int
    body: bytes
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer came. ``maybe_taken``: the request may have reached SMSBAT all the same."""

    maybe_taken: bool
    reason: str


class SmsbatClient:
    """Calls under one SMSBAT login, over kept-alive connections."""

    def __init__(self, login: SmsbatLogin, path: str) -> None:
        url = httpx.URL(login.settings.url.rstrip("/") + path)
        self._target = url.raw_path
        headers = {"Host": url.netloc.decode("ascii"), **_HEADERS, **login.headers}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")
        self._connections = Connections(url, httpx.create_ssl_context())
        self._timeout = login.settings.timeout
        #: Seconds that a call may last.
        self.patience = CONNECT_TIMEOUT + self._timeout

    async def submit(self, body: bytes) -> Answered | NoAnswer:
        """POST one call's body."""
        length = b"Content-Length: %d\r\n" % len(body)
        return await self._call(b"POST %b HTTP/1.1\r\n%b%b\r\n%b" % (self._target, self._headers, length, body))

    async def read(self, message_id: str) -> Answered | NoAnswer:
        """GET the status of a message by SMSBAT's id."""
        target = self._target + quote(message_id, safe="").encode("ascii")
        return await self._call(b"GET %b HTTP/1.1\r\n%b\r\n" % (target, self._headers))

    async def _call(self, request: bytes) -> Answered | NoAnswer:
        try:
            answer = await self._connections.exchange(request, self._timeout)
        except (NotWritten, AnswerLost) as error:
            return NoAnswer(isinstance(error, AnswerLost), reason_of(error.__cause__ or error))
        return Answered(answer.status, _unpacked(answer), retry_after(answer.headers))

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


def _unpacked(answer: HttpAnswer) -> bytes:
    """The body; proxies have been known to pack answers that were asked for plain. Longer ones are cut off."""
    if "content-encoding" not in answer.headers:
        return answer.body
    try:
        return zlib.decompressobj(_GZIP_OR_ZLIB).decompress(answer.body, LONGEST_ANSWER)
    except zlib.error:
        return answer.body
