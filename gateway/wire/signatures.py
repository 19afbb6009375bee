"""Messagio signatures (wire: messagio.md, A4): md5 over the concatenated raw values and the secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


def md5_signature(values: Iterable[bytes], secret: bytes) -> bytes:
    """The signature as 32 lower-case hex digits."""
    return hashlib.md5(b"".join((*values, secret)), usedforsecurity=False).hexdigest().encode()


def matches(given: bytes, expected: bytes) -> bool:
    """Compare in constant time; some runtimes print hex in upper case."""
    return hmac.compare_digest(given.lower(), expected)
