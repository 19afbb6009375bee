"""HTTP to partners' scripts: guarded addresses, no redirects, an end to everything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from gateway.core.addresses import AddressRefused

if TYPE_CHECKING:
    from gateway.outbound.transports import Transports

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
#: What goes wrong with a request or its answer.
_ERRORS: tuple[type[Exception], ...] = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError)
_EXTENSIONS = {"timeout": httpx.Timeout(REQUEST_TIMEOUT, connect=CONNECT_TIMEOUT).as_dict()}


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
        self._transports: Transports | None = None

    def _loaded(self) -> Transports:
        """By the first request; if it can't be done, the next one tries again.

        All others wait for it. In a thread it would wait for all others: under load ten seconds, for the interpreter.
        """
        if self._transports is None:
            self._transports = _load()
        return self._transports

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        return _ERRORS if self._transports is None else (*_ERRORS, self._transports.error)

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
        except self._errors as error:
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
        transports = self._loaded()
        async with _answered(transports.private if private else transports.public, request) as response:
            await self._drain(response)
            return WebAnswer(response.status_code, retry_after(response.headers))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._transports is not None:
            await self._transports.public.aclose()
            await self._transports.private.aclose()

    async def _drain(self, response: httpx.Response) -> None:
        """Read a little, so that the connection can be used again. Whatever is wrong with it, the answer is known."""
        size = 0
        with contextlib.suppress(TimeoutError, *self._errors):
            async with asyncio.timeout(_DRAIN_TIMEOUT):
                async for chunk in response.aiter_raw():
                    size += len(chunk)
                    if size > _READ:
                        return


def _load() -> Transports:
    from gateway.outbound.transports import transports  # noqa: PLC0415 a fifth of a second that no start needs

    return transports()


@contextlib.asynccontextmanager
async def _answered(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> AsyncIterator[httpx.Response]:
    """The answer to a request, whose connection can be used again behind the block if the body was read."""
    response = await transport.handle_async_request(request)
    try:
        yield response
    finally:
        await response.aclose()


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
