"""Everybody who is compared, and how each is started."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.side_by_side import gateways, kannel, nginx
from benchmarks.side_by_side.gateways import Setup
from benchmarks.side_by_side.processes import SERVER_CORE, Command, Server, port_of, serving
from benchmarks.side_by_side.requests import kannel as kannel_request
from benchmarks.side_by_side.requests import legacy
from benchmarks.side_by_side.standin import BARE, PARTNER, StandIn
from gateway.settings import Address
from tests.support.postgres import new_database
from tests.support.servers import free_address

Form = Literal["legacy", "kannel"]
#: How each API says that it took a message, and the request that finds out whether a server is up.
TAKEN: dict[Form, bytes] = {"legacy": b"<code>0</code>", "kannel": b"0: Accepted for delivery"}
_PROBE = {"legacy": legacy("380500000000", "probe"), "kannel": kannel_request("380500000000", "probe")}


@dataclass(slots=True)
class Site:
    """Where everything runs: a folder on a real disk, and the stand-in SMSBAT."""

    folder: Path
    standin: StandIn
    _lives: Iterator[int] = field(default_factory=itertools.count)

    def fresh_folder(self) -> Path:
        """A folder for one life of one server."""
        folder = self.folder / f"life-{next(self._lives):03d}"
        folder.mkdir()
        return folder


@dataclass(frozen=True, slots=True)
class Life:
    """What is to be started: in which folder, at which address, in front of whom.

    ``limited``: SMSBAT limits calls; ``told``: a script is told of reports.
    """

    folder: Path
    address: Address
    smsbat: str
    limited: bool
    told: bool

    @property
    def script(self) -> str | None:
        """The script that is told of reports, if there is one."""
        return f"{self.smsbat}{PARTNER}" if self.told else None


Commands = Callable[[Life], Sequence[Command]]


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those that are compared.

    ``commands`` are the servers that make it up. One that does not relay answers without SMSBAT. ``early``: it answers
    before it relays. ``packages`` are Debian packages that it needs.
    """

    name: str
    title: str
    commands: Commands
    form: Form = "legacy"
    relays: bool = True
    early: bool = False
    core: int | None = SERVER_CORE
    packages: frozenset[str] = frozenset()

    @contextlib.contextmanager
    def serving(
        self, site: Site, limited: bool = False, told: bool = False, folder: Path | None = None
    ) -> Iterator[Running]:
        """It runs while the block runs, which begins when it takes messages; ``folder`` is one of an earlier life."""
        life = Life(folder or site.fresh_folder(), free_address(), site.standin.url, limited, told)
        with contextlib.ExitStack() as stack:
            servers = [
                stack.enter_context(serving(each, life.folder / f"log-{number}", self.core))
                for number, each in enumerate(self.commands(life))
            ]
            took = servers[-1].wait_for(life.address, _PROBE[self.form], TAKEN[self.form])
            yield Running(life.address, servers, took)


@dataclass(frozen=True, slots=True)
class Running:
    """A contender at work; ``start`` is how many seconds its last server took to its first good answer."""

    address: Address
    servers: Sequence[Server]
    start: float

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far."""
        return sum(server.cpu_seconds for server in self.servers)

    @property
    def peak_memory(self) -> int:
        """The most bytes that its processes ever held."""
        return sum(server.peak_memory for server in self.servers)


def _rival(name: str, *more: str) -> Commands:
    """A hand-written proxy; ``more`` are names of files in its folder."""

    def commands(life: Life) -> list[Command]:
        module = f"benchmarks.side_by_side.rivals.{name}"
        files = [str(life.folder / each) for each in more]
        return [Command([sys.executable, "-m", module, str(port_of(life.address)), life.smsbat, *files])]

    return commands


def _uvicorn_workers(life: Life) -> list[Command]:
    """The first rival with two workers, as uvicorn's own command starts them."""
    app = "benchmarks.side_by_side.rivals.starlette_httpx:app"
    fast = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    serve = [sys.executable, "-m", "uvicorn", "--factory", app, "--port", str(port_of(life.address)), "--workers", "2"]
    return [Command(["env", f"SMSBAT={life.smsbat}", *serve, *fast])]


def _gateway(postgres: bool = False, workers: int = 1) -> Commands:
    def commands(life: Life) -> list[Command]:
        database = new_database() if postgres else gateways.sqlite(life.folder)
        setup = Setup(life.smsbat, life.limited, life.script, workers)
        return [Command(gateways.command(life.folder, life.address, database, setup))]

    return commands


def _kannel(spool: bool) -> Commands:
    return lambda life: kannel.commands(life.folder, port_of(life.address), life.smsbat, spool)


def _nginx_lua(life: Life) -> list[Command]:
    send = 'content_by_lua_block { require("proxy").send() }'
    locations = f"location = / {{ {send} }} location = /smsbat {{ internal; {nginx.passed_on('/bat/messagelist')} }}"
    return [nginx.command(life.folder, port_of(life.address), locations, life.smsbat.removeprefix("http://"))]


def _nginx_bare(life: Life) -> list[Command]:
    locations = f"location = / {{ {nginx.passed_on(BARE)} }}"
    return [nginx.command(life.folder, port_of(life.address), locations, life.smsbat.removeprefix("http://"))]


BASELINE, BASELINE_TWO, ORM = "starlette_httpx", "starlette_httpx_2", "starlette_orm"
CEILING, FLOOR = "ceiling", "floor"
AIOHTTP, NGINX_LUA, NGINX_BARE = "aiohttp", "nginx_lua", "nginx_bare"
KANNEL, KANNEL_SPOOL, KANNEL_FREE = "kannel", "kannel_spool", "kannel_free"
GATEWAY, GATEWAY_POSTGRES, GATEWAY_TWO, GATEWAY_POSTGRES_TWO = "gateway", "gateway_pg", "gateway_2", "gateway_pg_2"
_KANNEL = frozenset({"kannel"})

CONTENDERS = {
    each.name: each
    for each in (
        Contender(BASELINE, "Starlette + httpx, nothing stored", _rival("starlette_httpx")),
        Contender(ORM, "the same with an ORM row a message", _rival("starlette_orm", "messages.db")),
        Contender(AIOHTTP, "aiohttp, nothing stored", _rival("aiohttp_proxy")),
        Contender(KANNEL_SPOOL, "Kannel with its spool store", _kannel(True), "kannel", early=True, packages=_KANNEL),
        Contender(KANNEL, "Kannel, nothing stored", _kannel(False), "kannel", early=True, packages=_KANNEL),
        Contender(NGINX_LUA, "nginx + Lua, nothing stored", _nginx_lua),
        Contender(NGINX_BARE, "nginx, bare pass-through", _nginx_bare),
        Contender(CEILING, "our ceiling: no store, no SMSBAT", _rival(CEILING), relays=False),
        Contender(FLOOR, "our floor: store and SMSBAT, nothing else", _rival(FLOOR, "messages.db")),
        Contender(GATEWAY, "gateway, SQLite", _gateway()),
        Contender(BASELINE_TWO, "Starlette + httpx, 2 workers, not pinned", _uvicorn_workers, core=None),
        Contender(GATEWAY_TWO, "gateway, SQLite, 2 workers, not pinned", _gateway(workers=2), core=None),
        Contender(GATEWAY_POSTGRES, "gateway, PostgreSQL, not pinned", _gateway(postgres=True), core=None),
        Contender(
            GATEWAY_POSTGRES_TWO, "gateway, PostgreSQL, 2 workers, not pinned", _gateway(True, workers=2), core=None
        ),
        Contender(
            KANNEL_FREE,
            "Kannel with its spool store, not pinned",
            _kannel(True),
            "kannel",
            early=True,
            core=None,
            packages=_KANNEL,
        ),
    )
}
