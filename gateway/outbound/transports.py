"""The connections to partners' scripts, which are aiohttp's; by themselves, since loading that takes a while."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from gateway.core.addresses import may_reach
from gateway.outbound.connections import KEEPALIVE
from gateway.outbound.web import READ, AddressRefused, Transports


def transports() -> Transports:
    """New ones."""
    context = httpx.create_ssl_context()
    return Transports(_transport(private=False, context=context), _transport(True, context), aiohttp.ClientError)


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
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), max_field_size=READ)

    return AiohttpTransport(verify=context, client=session)


def _guarded_socket(address: Any, private: bool) -> socket.socket:
    """A socket for an address that is about to be connected to, whatever name or spelling it came from."""
    family, kind, protocol, _, where = address
    if not may_reach(where[0], private):
        raise AddressRefused("an address that callbacks may not reach")
    return socket.socket(family, kind, protocol)
