"""Message ids: UUIDs whose first bits are the time, so that a store's index grows at one end."""

from __future__ import annotations


def message_id(now_ms: int, entropy: bytes) -> str:
    """A version 7 UUID in lower case from milliseconds since the epoch and 10 random bytes (RFC 9562)."""
    random = int.from_bytes(entropy, "big")
    high = (now_ms & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | random >> 68
    low = 0x8000_0000_0000_0000 | random & 0x3FFF_FFFF_FFFF_FFFF
    digits = f"{high << 64 | low:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
