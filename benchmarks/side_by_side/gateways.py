"""The gateway, started as a user would: a real process on a fresh database, with everything on."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.settings import Address
from tests.support.servers import accounts, free_address, write_mappings

HOOK = "hook-of-the-stand-in"
HOOK_PATH = f"/hooks/{HOOK}"
#: For an SMSBAT that does not limit calls; otherwise the gateway keeps the documented limit by itself.
_UNLIMITED = {"calls_per_second": 1_000_000, "burst": 1_000_000}


@dataclass(frozen=True, slots=True)
class Setup:
    """A gateway's surroundings: SMSBAT's address, whether that limits calls, a script that is told of reports."""

    smsbat: str
    limited: bool = False
    script: str | None = None
    workers: int = 1


def command(folder: Path, address: Address, database: str, setup: Setup) -> list[str]:
    """Write its mapping files into a folder; returns the command that serves."""
    told: dict[str, Any] = {"callback": {"url": setup.script, "private": True}, "hook": HOOK}
    content = accounts(setup.smsbat, None if setup.limited else _UNLIMITED, told if setup.script else None)
    mappings = write_mappings(folder / "mappings", content)
    places = ["--mappings", str(mappings), "--database", database, "--media", str(folder / "media")]
    listens = ["--listen", address, "--operator-listen", free_address(), "--workers", str(setup.workers)]
    return [sys.executable, "-m", "gateway", "serve", *listens, *places, "--log-format", "json"]


def sqlite(folder: Path) -> str:
    """The URL of a database file in a folder."""
    return f"sqlite:///{folder / 'gateway.db'}"
