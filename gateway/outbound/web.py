"""HTTP to partners' scripts: guarded addresses, no redirects, an end to everything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from gateway.core.addresses import may_reach
from gateway.outbound.connections import KEEPALIVE

#: Seconds to get a connection, and for the whole of a request.
CONNECT_TIMEOUT = 10.0
REQUEST_TIMEOUT = 30.0
#: Bytes of an answer that are read, so that its connection can be used again; what it says is not looked at.
_READ = 64 * 1024
#: Headers of every request: who asks, and that the answer is not to be packed.
PLAIN = {"Accept-Encoding": "identity", "User-Agent": "smsbat-gateway"}
_DRAIN_TIMEOUT = 2.0
#: Errors around an error that are looked at.
_DEEPEST = 10
_EXTENSIONS = {"timeout": httpx.Timeout(REQUEST_TIMEOUT, connect=CONNECT_TIMEOUT).as_dict()}


class AddressRefused(OSError):
    """The address behind a name is none that callbacks may reach."""


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """An answer's status, and the seconds that ``Retry-After`` asks for."""

    status: int
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class NoWebAnswer:
    """Why there is none, in a word without the address."""

    reason: str


class WebClient:
    """Makes requests to addresses that may be private, or not; one instance for all partners."""

    def __init__(self) -> None:
        context = httpx.create_ssl_context()
        self._transports = {private: _transport(private, context) for private in (False, True)}

    async def send(
        self, method: str, url: str, private: bool, content_type: str | None = None, content: bytes | None = None
    ) -> WebAnswer | NoWebAnswer:
        """One request. Never raises for what the other side does."""
        headers = {"Content-Type": content_type} if content_type else {}
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                return await self._answer(method, httpx.URL(url), private, headers, content)
        except TimeoutError:
            return NoWebAnswer("timeout")
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, ValueError) as error:
            return NoWebAnswer(reason_of(error))

    async def _answer(
        self, method: str, url: httpx.URL, private: bool, headers: Mapping[str, str], content: bytes | None
    ) -> WebAnswer:
        if url.scheme not in ("http", "https") or not url.host:
            raise httpx.UnsupportedProtocol("no web address")
        bare = url.copy_with(userinfo=None) if url.userinfo else url
        request = httpx.Request(
            method, bare, headers={"Accept": "*/*", **PLAIN, **headers}, content=content, extensions=_EXTENSIONS
        )
        if url.userinfo:
            # The transport refuses credentials inside an address; they go into a header.
            next(httpx.BasicAuth(url.username, url.password).sync_auth_flow(request))
        async with _answered(self._transports[private], request) as response:
            await _drain(response)
            return WebAnswer(response.status_code, retry_after(response.headers))

    async def aclose(self) -> None:
        """Close the connections."""
        for transport in self._transports.values():
            await transport.aclose()


@contextlib.asynccontextmanager
async def _answered(transport: AiohttpTransport, request: httpx.Request) -> AsyncIterator[httpx.Response]:
    """The answer to a request, whose connection can be used again behind the block if the body was read."""
    response = await transport.handle_async_request(request)
    try:
        yield response
    finally:
        await response.aclose()


async def _drain(response: httpx.Response) -> None:
    """Read a little, so that the connection can be used again. Whatever is wrong with it, the answer is known."""
    size = 0
    with contextlib.suppress(TimeoutError, httpx.HTTPError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_DRAIN_TIMEOUT):
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > _READ:
                    return


def _transport(private: bool, context: ssl.SSLContext) -> AiohttpTransport:
    """Httpx's transport by itself: what its client does besides has no place here, and takes as long again."""

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            ssl=context,
            keepalive_timeout=KEEPALIVE,
            socket_factory=lambda address: _guarded_socket(address, private),
        )
        # PHP scripts have been seen to print notices into their headers. No cookies: one session serves many partners.
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), max_field_size=_READ)

    return AiohttpTransport(verify=context, client=session)


def _guarded_socket(address: Any, private: bool) -> socket.socket:
    """A socket for an address that is about to be connected to, whatever name or spelling it came from."""
    family, kind, protocol, _, where = address
    if not may_reach(where[0], private):
        raise AddressRefused("an address that callbacks may not reach")
    return socket.socket(family, kind, protocol)


def reason_of(error: BaseException) -> str:
    """The kind of what went wrong: the words of all of these errors may quote the address, which may hold a secret.

    The libraries put their own errors around the system's, and call every lost connection a connect error.
    """
    kinds = [type(each) for each in _chain(error)]
    if AddressRefused in kinds:
        return "address refused"
    of_the_system = [kind for kind in kinds if issubclass(kind, OSError) and kind not in (OSError, TimeoutError)]
    return (of_the_system or kinds[:1])[-1].__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """From the outermost to the innermost."""
    for _ in range(_DEEPEST):
        if error is None:
            return
        yield error
        error = error.__cause__ or getattr(error, "os_error", None) or error.__context__


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from ``Retry-After``; its date form is rare and counts as absent."""
    value = headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None
