"""Uploaded pictures: what is known of one, and its id."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
