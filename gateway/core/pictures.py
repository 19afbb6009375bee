"""Uploaded pictures: what is known of one, and its id."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass

_ALPHABET = string.ascii_uppercase + string.digits
_LENGTH = 64
#: What an id looks like, as bytes of a request.
IMAGE_ID = re.compile(rb"[A-Z0-9]{64}")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that an account uploaded. ``format`` is ``jpg``, ``png`` or ``gif``, ``size`` in bytes."""

    id: str
    account: str
    format: str
    size: int

    @property
    def name(self) -> str:
        """Its file name, in storage and at the end of its public address."""
        return f"{self.id}.{self.format}"


def new_image_id() -> str:
    """64 random characters of ``A-Z0-9`` (wire: messagio.md, A8): nobody guesses a picture's public address."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
