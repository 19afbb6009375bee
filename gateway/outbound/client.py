"""One HTTP call to SMSBAT, and what is known of it when it ends."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from gateway.mapping.accounts import SmsbatLogin
from gateway.outbound.web import KEEPALIVE, PLAIN, answered, reason_of, retry_after

#: Seconds to get a connection; SMSBAT answers from nearby or not at all.
CONNECT_TIMEOUT = 5.0

_HEADERS = {"Content-Type": "application/json", "Accept": "application/json", **PLAIN}
_NOT_WRITTEN = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


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

    def __init__(self, login: SmsbatLogin, path: str, connections: int) -> None:
        settings = login.settings
        self._address = settings.url.rstrip("/") + path
        self._url = httpx.URL(self._address)
        #: Seconds that a call may last.
        self.patience = CONNECT_TIMEOUT + 2 * settings.timeout
        self._headers = httpx.Headers({**_HEADERS, **login.headers})
        self._extensions = {"timeout": httpx.Timeout(settings.timeout, connect=CONNECT_TIMEOUT).as_dict()}
        # httpx's own transport takes several times as long for each call, and longer the more calls wait. What its
        # client does besides, redirects, cookies, authentication, has no place here, and takes as long again.
        context = httpx.create_ssl_context()
        self._transport = AiohttpTransport(verify=context, client=lambda: _session(connections, context))

    async def submit(self, body: bytes) -> Answered | NoAnswer:
        """POST one call's body."""
        return await self._call("POST", self._url, body)

    async def read(self, message_id: str) -> Answered | NoAnswer:
        """GET the status of a message by SMSBAT's id."""
        return await self._call("GET", httpx.URL(self._address + quote(message_id, safe="")), b"")

    async def _call(self, method: str, url: httpx.URL, body: bytes) -> Answered | NoAnswer:
        # A stream, though it is all there: the transport adds the address and the length to the headers by itself.
        stream = httpx.ByteStream(body)
        request = httpx.Request(method, url, headers=self._headers, stream=stream, extensions=self._extensions)
        request.read()
        try:
            # The transport's own time-outs do not cover a peer that stops reading, or one that answers drop by drop.
            async with asyncio.timeout(self.patience):
                async with answered(self._transport, request) as response:
                    await response.aread()
        except (httpx.HTTPError, aiohttp.ClientError, TimeoutError) as error:
            # The transport calls every lost connection a connect error; only its cause tells whether bytes went out.
            return NoAnswer(not isinstance(error.__cause__, _NOT_WRITTEN), reason_of(error))
        return Answered(response.status_code, response.content, retry_after(response.headers))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


def _session(connections: int, context: ssl.SSLContext) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=KEEPALIVE, ssl=context)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
