"""Which addresses are of the web, and which of networks a callback may reach (RFC 6890, its successors' registries).

``ipaddress.is_global`` alone is not enough: it calls addresses global behind which an IPv4 address is hidden, and says
nothing of the addresses at which clouds answer their own machines.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import urlsplit

import idna

Address = IPv4Address | IPv6Address


class AddressRefused(OSError):
    """The address behind a name is none that callbacks may reach."""


#: With blanks and control characters nowhere. Others that can't be seen are the host's trouble alone.
_WEB = re.compile(r"https?://[^\s/?#]++[^\s\x00-\x1f\x7f]*+", re.IGNORECASE)
_FOUR_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+){3}")

#: Where clouds give out credentials: never to be reached, whatever a file says.
_METADATA = frozenset(
    ipaddress.ip_address(each)
    for each in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)

#: Ranges that clouds take theirs from; nothing else is in them that a callback could be for.
_NEVER = tuple(
    ip_network(each)
    for each in ("169.254.0.0/16", "fe80::/10", "64:ff9b:1::/48", "fd00:c1::/32", "fd00:42::/32", "fd00:ec2::/32")
)

#: The only IPv6 addresses that are given to anybody.
_GLOBAL_UNICAST = ip_network("2000::/3")

#: Special-purpose blocks; named here in full, so that no library's version decides.
_SPECIAL = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None


def is_web_address(url: str) -> bool:
    """Whether it is an http or https address: of a picture or a page, which others fetch."""
    if not _WEB.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.port != 0 and _is_host(parts.netloc, parts.hostname or "")
    except ValueError:
        return False


def may_be_called(url: str) -> bool:
    """The same for one that the gateway calls: its host's name must be one that can be looked up (RFC 5891)."""
    if not is_web_address(url):
        return False
    name = urlsplit(url).hostname or ""
    try:
        return bool((name.isascii() and not name.startswith("xn--")) or idna.encode(name))
    except ValueError:
        return False


def is_base_address(url: str) -> bool:
    """The same for an address that paths are put behind."""
    return may_be_called(url) and not {"?", "#"}.intersection(url)


def _is_host(netloc: str, name: str) -> bool:
    """Brackets and four numbers hold an address."""
    if "[" in netloc:
        return isinstance(_parsed(name), IPv6Address)
    if _FOUR_NUMBERS.fullmatch(name):
        return isinstance(_parsed(name), IPv4Address)
    return bool(name)


def is_address(host: str) -> bool:
    """Whether it is numeric, and no name."""
    return _parsed(host) is not None


def may_reach(address: str, private: bool) -> bool:
    """Whether a connection to a numeric address is allowed; ``private`` when the operator's file says it may be.

    Addresses that hide an IPv4 address (mapped, translated, tunnelled) are judged by it when private ones are allowed,
    and refused otherwise: no partner has one.
    """
    parsed = _parsed(address)
    if parsed is None:
        return False
    meanings = _meanings(parsed)
    if _METADATA.intersection(meanings) or any(_within(each, _NEVER) for each in meanings):
        return False
    if private:
        return not any(each.is_multicast or each.is_unspecified for each in meanings)
    ordinary = parsed.version == 4 or parsed in _GLOBAL_UNICAST
    return ordinary and parsed.is_global and not any(_within(each, _SPECIAL) for each in meanings)


def _within(address: Address, blocks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address in block for block in blocks if block.version == address.version)


def _meanings(address: Address) -> set[Address]:
    """The address, and the IPv4 addresses that it may stand for."""
    if isinstance(address, IPv4Address):
        return {address}
    hidden: set[Address | None] = {address, address.ipv4_mapped, address.sixtofour, *(address.teredo or ())}
    number = int(address)
    if number >> 32 in (0, 0x64_FF9B << 64, 0xFFFF << 16) or number >> 80 == 0x64_FF9B_0001:
        hidden.add(IPv4Address(number & 0xFFFF_FFFF))
    if number >> 32 & 0xFFFF_FFFF in (0x5EFE, 0x0200_5EFE):  # ISATAP
        hidden.add(IPv4Address(number & 0xFFFF_FFFF))
    return {each for each in hidden if each is not None}
