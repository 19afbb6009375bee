"""The connections to partners' scripts, which are aiohttp's; by themselves, since loading that takes a while."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from gateway.core.addresses import AddressRefused, may_reach
from gateway.outbound.connections import KEEPALIVE

#: Bytes of one header of an answer.
_LONGEST_FIELD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Transports:
    """To addresses that must be public, and to those that may be private; ``error`` is what they fail with besides."""

    public: AiohttpTransport
    private: AiohttpTransport
    error: type[Exception]


def transports() -> Transports:
    """New ones."""
    context = httpx.create_ssl_context()
    public, private = (_transport(private, context) for private in (False, True))
    return Transports(public, private, aiohttp.ClientError)


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
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), max_field_size=_LONGEST_FIELD
        )

    return AiohttpTransport(verify=context, client=session)


def _guarded_socket(address: Any, private: bool) -> socket.socket:
    """A socket for an address that is about to be connected to, whatever name or spelling it came from."""
    family, kind, protocol, _, where = address
    if not may_reach(where[0], private):
        raise AddressRefused("an address that callbacks may not reach")
    return socket.socket(family, kind, protocol)
