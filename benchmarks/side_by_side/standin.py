"""The stand-in SMSBAT: nginx with Lua, so that it costs little beside what is measured, and counts what it was sent."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.side_by_side import nginx
from benchmarks.side_by_side.processes import LOAD_CORE, Server, answer_to, port_of, serving
from gateway.settings import Address
from tests.support.servers import free_address

KEY = "sandbox-key"
#: Paths that take one message a call in a form of their own: from Kannel, and from the bare proxy.
KANNEL, BARE = "/kannel", "/bare"
PARTNER = "/partner"
#: Seconds without anything new, after which nothing more is expected.
_QUIET = 0.2
#: What a bare proxy's clients are answered.
BARE_ANSWER = '<?xml version="1.0" encoding="utf-8"?><response><code>0</code><tech_message>OK</tech_message></response>'

_LOCATIONS = f"""
        location = /bat/messagelist {{ content_by_lua_block {{ require("smsbat").send() }} }}
        location = {KANNEL} {{ content_by_lua_block {{ require("smsbat").take_one("OK") }} }}
        location = {BARE} {{
            default_type text/xml;
            content_by_lua_block {{ require("smsbat").take_one('{BARE_ANSWER}') }}
        }}
        location = {PARTNER} {{ content_by_lua_block {{ require("smsbat").callback() }} }}
        location = /count {{ content_by_lua_block {{ require("smsbat").count() }} }}
        location = /reset {{ content_by_lua_block {{ require("smsbat").reset() }} }}
"""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How SMSBAT behaves: seconds before it answers, whether it limits calls, and the webhook that it tells of ends."""

    delay: float = 0.0
    limited: bool = False
    hook: tuple[int, str] | None = None

    @property
    def wanted(self) -> dict[str, str]:
        """As the stand-in is told."""
        hook = {"hook_port": str(self.hook[0]), "hook_path": self.hook[1]} if self.hook else {}
        return {"delay": str(self.delay), "limited": str(int(self.limited)), **hook}


AT_ONCE = Behaviour()


@dataclass(frozen=True, slots=True)
class Counts:
    """What it was sent since the last reset.

    ``doubles`` came under an id that was there before; ``told`` are webhook calls that were answered with 200,
    ``waiting`` the ends that are still to be told, and ``callbacks`` what the partner's script was told.
    """

    messages: int
    calls: int
    too_many: int
    largest_call: int
    doubles: int
    told: int
    waiting: int
    callbacks: int


class StandIn:
    """A running one."""

    def __init__(self, address: Address, server: Server) -> None:
        self.address = address
        self._server = server

    @property
    def url(self) -> str:
        """Where SMSBAT's API is."""
        return f"http://{self.address}"

    def reset(self, behaviour: Behaviour = AT_ONCE) -> None:
        """Forget everything, and behave like this from now on."""
        assert self._get(f"/reset?{urlencode(behaviour.wanted)}") == b"OK"

    def pin(self, beside: int | None) -> None:
        """Stay on the load's core beside a server that is pinned to its own, and anywhere beside one that is not."""
        self._server.pin(None if beside is None else LOAD_CORE)

    @property
    def counts(self) -> Counts:
        """What it was sent."""
        return Counts(**json.loads(self._get("/count")))

    def wait_until(self, holds: Callable[[Counts], bool], seconds: float, pause: float = 0.01) -> tuple[Counts, float]:
        """Look until its counts are as wanted, or the time is over; returns them and how long it took."""
        started = time.monotonic()
        while not holds(counts := self.counts) and time.monotonic() - started < seconds:
            time.sleep(pause)
        return counts, time.monotonic() - started

    def wait_until_quiet(self) -> None:
        """Clients that are gone may have left requests whose messages are still on their way."""
        before, counts = None, self.counts
        while counts != before:
            time.sleep(_QUIET)
            before, counts = counts, self.counts

    def _get(self, target: str) -> bytes:
        return answer_to(self.address, f"GET {target} HTTP/1.1\r\nHost: smsbat\r\n\r\n".encode())


@contextlib.contextmanager
def running_standin(folder: Path) -> Iterator[StandIn]:
    """One that runs while the block runs."""
    address = free_address()
    command = nginx.command(folder, port_of(address), _LOCATIONS)
    with serving(command, folder / "log", LOAD_CORE) as server:
        server.wait_for(address, b"GET /reset HTTP/1.1\r\nHost: smsbat\r\n\r\n", b"OK")
        yield StandIn(address, server)
