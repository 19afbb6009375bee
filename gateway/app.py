"""The composition root: everything a running gateway consists of, started and stopped in order."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.console.operator import operator_app
from gateway.errors import Refusal
from gateway.inbound.album import Album
from gateway.inbound.body import App
from gateway.inbound.pictures import PictureApp
from gateway.inbound.protocol import Unreadable, legacy_protocol
from gateway.inbound.telling import log_exchange, told_together
from gateway.listener import bind, listening
from gateway.mapping.answers import Answer
from gateway.mapping.loader import Plan
from gateway.settings import Settings, addresses
from gateway.store.database import Database, opened
from gateway.store.engine import open_engine
from gateway.store.media import MediaStore
from gateway.store.numbers import Numbers
from gateway.store.pictures import open_storage
from gateway.store.scrubbing import keep_clean
from gateway.switch import Files, Switch
from gateway.tls import Certificate
from gateway.tracing import Observer, tracing
from gateway.translation import Ground, run_beside

_DAY = 86_400_000


def nobody() -> None:
    """There are no other workers."""


@dataclass(frozen=True, slots=True)
class Reloading:
    """How mapping files are read anew. ``used`` is what told them apart from others when they were read first."""

    load: Callable[[], Plan]
    used: Files
    tell_others: Callable[[], None] = nobody


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a gateway listens: bound sockets for legacy clients, plain and under TLS, and for the operator."""

    plain: Sequence[socket.socket]
    operator: socket.socket
    tls: Sequence[socket.socket] = ()
    certificate: Certificate | None = None

    @classmethod
    def of(cls, settings: Settings) -> Doors:
        """The doors that the settings name. Raises ``ConfigurationError`` when one of them can't be had."""
        chain, certificate = settings.tls_certificate, None
        if settings.tls_listen and chain is not None:
            certificate = Certificate(chain, settings.tls_key or chain, settings.tls_minimum)
        plain, tls = ([bind(each) for each in addresses(each)] for each in (settings.listen, settings.tls_listen))
        return cls(plain, bind(settings.operator_listen), tls, certificate)


@contextlib.asynccontextmanager
async def gateway(
    plan: Plan,
    settings: Settings,
    doors: Doors,
    observer: Observer = log_exchange,
    reloading: Reloading | None = None,
) -> AsyncIterator[Switch]:
    """A gateway that serves while the block runs. Raises ``ConfigurationError`` when it can't start.

    With ``reloading`` it looks after the mapping files, and uses them as they are when they have changed.
    """
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(tracing())
        storage = open_storage(settings.media)
        database = await stack.enter_async_context(_database(settings.database))
        run_beside(stack, keep_clean(database))
        pictures, retention = (int(days * _DAY) for days in (settings.media_retention_days, settings.retention_days))
        album = Album(MediaStore(database), storage, settings.public_url, pictures)
        ground = Ground(database, Numbers(database), album, storage, retention, pictures, told_together(observer))
        load, used = (reloading.load, reloading.used) if reloading else (lambda: plan, frozenset())
        switch = Switch(ground, load, settings.mappings, used)
        stack.push_async_callback(switch.stop)
        await switch.use(plan)
        if reloading:
            run_beside(stack, switch.watch())
        tell_others = reloading.tell_others if reloading else nobody
        operator = operator_app(switch.condition, partial(_reloaded, switch, tell_others))
        await stack.enter_async_context(listening(operator, [doors.operator]))
        await _open(stack, doors, PictureApp(album, switch), switch)
        yield switch


async def _reloaded(switch: Switch, tell_others: Callable[[], None]) -> str | None:
    """The operator reaches one of the workers; the others need not load what is wrong."""
    problem = await switch.reload()
    if problem is None:
        with contextlib.suppress(OSError):
            tell_others()
    return problem


async def _open(stack: contextlib.AsyncExitStack, doors: Doors, app: App, switch: Switch) -> None:
    """Let legacy clients in, at every door to the same application."""
    protocol = legacy_protocol(_unreadable(switch))
    servers = []
    if doors.plain:
        servers.append(await stack.enter_async_context(listening(app, doors.plain, protocol)))
    if doors.certificate:
        run_beside(stack, doors.certificate.watch())
        tls = doors.certificate.context
        servers.append(await stack.enter_async_context(listening(app, doors.tls, protocol, tls)))
    # All doors close at once; each one's last requests are waited for behind that.
    for server in servers:
        stack.callback(setattr, server, "should_exit", True)


@contextlib.asynccontextmanager
async def _database(address: str) -> AsyncIterator[Database]:
    engine = open_engine(address)
    async with opened(engine) as database:
        yield database


def _unreadable(switch: Switch) -> Unreadable:
    """What never gets as far as the application is answered in the dialect of its place all the same."""

    def answer(kind: str, host: str, path: str) -> Answer:
        dialect = switch.plan.dialect_at(host, path)
        return dialect.refuse(Refusal(kind), dialect.base_of(path)[0])

    return answer
