"""Pictures by their first bytes. What a client declares is not looked at: most say ``application/octet-stream``."""

from __future__ import annotations

#: As many bytes of a file as its format shows in.
HEAD = 8

#: Format to media type; these are the formats that exist here.
MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png", "gif": "image/gif"}

_MAGIC = {"jpg": (b"\xff\xd8\xff",), "png": (b"\x89PNG\r\n\x1a\n",), "gif": (b"GIF87a", b"GIF89a")}


def image_format(head: bytes) -> str | None:
    """``jpg``, ``png`` or ``gif`` by magic bytes; ``None`` for anything else."""
    return next((name for name, starts in _MAGIC.items() if head.startswith(starts)), None)
