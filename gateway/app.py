"""The composition root: everything a running gateway consists of, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.clock import now_ms
from gateway.console.operator import Condition, operator_app
from gateway.errors import Refusal, StoreUnavailable
from gateway.inbound.album import Album
from gateway.inbound.app import LegacyApp, Observer, log_exchange
from gateway.inbound.body import App
from gateway.inbound.hooks import HookApp
from gateway.inbound.mailings import Mailer
from gateway.inbound.operations import build_operations, bulk_details
from gateway.inbound.pictures import PictureApp
from gateway.inbound.protocol import Unreadable, legacy_protocol
from gateway.inbound.send import SendOperation
from gateway.listener import bind, listening
from gateway.mapping.answers import Answer
from gateway.mapping.loader import Plan
from gateway.metrics import PLAN
from gateway.outbound.callbacks import CallbackDispatcher
from gateway.outbound.poller import Poller
from gateway.outbound.releaser import Releaser
from gateway.outbound.reports import Reports
from gateway.outbound.sender import Sender
from gateway.outbound.standing import keep_standing
from gateway.outbound.web import WebClient
from gateway.outbound.works import RELEASES, SWEEP, SharedWorks, Works, polling, telling
from gateway.settings import Settings, addresses
from gateway.store.asking import AskingStore
from gateway.store.callbacks import CallbackStore, Details, Script
from gateway.store.codes import CodeStore
from gateway.store.database import Database, opened
from gateway.store.engine import open_engine
from gateway.store.mailings import MailingStore
from gateway.store.media import MediaStore
from gateway.store.messages import MessageStore
from gateway.store.nodes import Node
from gateway.store.numbers import Numbers
from gateway.store.pictures import PictureStorage, open_storage
from gateway.store.records import RecordStore
from gateway.store.releases import ReleaseStore
from gateway.store.reports import ReportStore
from gateway.store.retention import sweep
from gateway.tls import Certificate

log = structlog.get_logger("gateway.app")

_DAY = 86_400_000
#: Seconds between sweeps of what is kept too long.
_SWEEP_PAUSE = 3600.0


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
    plan: Plan, settings: Settings, doors: Doors, observer: Observer = log_exchange
) -> AsyncIterator[None]:
    """A gateway that serves while the block runs. Raises ``ConfigurationError`` when it can't start."""
    async with contextlib.AsyncExitStack() as stack:
        storage = open_storage(settings.media)
        database = await stack.enter_async_context(_database(settings.database))
        retention = int(settings.media_retention_days * _DAY)
        album = Album(MediaStore(database), storage, settings.public_url, retention)
        records, numbers, asking = RecordStore(database), Numbers(database), AskingStore(database)
        mailings = MailingStore(database, numbers)
        node = await _join(stack, database)
        works = await _shared_works(node, plan)
        dispatcher, reports, pollers = _reporting(stack, plan, database, works, bulk_details(mailings, asking))
        store, senders = await _sending(stack, plan, database, reports, node)
        _run_beside(stack, keep_standing(node, works, senders.values()))
        releaser = Releaser(ReleaseStore(database, plan.accounts.accounts), senders, pollers, dispatcher, works)
        _run_beside(stack, releaser.run())
        send = SendOperation(store, senders, reports, numbers, releaser)
        operations = build_operations(send, records, asking, CodeStore(database), Mailer(mailings, asking, releaser))
        app = LegacyApp(plan, operations, album, records, observer)
        _run_beside(stack, _sweeping(database, storage, retention, works))
        PLAN.set(now_ms() / 1000)
        await stack.enter_async_context(listening(operator_app(_condition(node, senders)), [doors.operator]))
        hooks = HookApp(plan.accounts.hooks, plan.upstream.hooks, reports, app)
        await _open(stack, doors, PictureApp(album, hooks), plan)
        yield


def _condition(node: Node, senders: Mapping[str, Sender]) -> Condition:
    """Ready is who can write what it accepts; SMSBAT may be away: what is accepted waits for it."""

    def condition() -> tuple[bool, Mapping[str, Any]]:
        smsbat = {name: "no answer" if sender.is_held_back else "ok" for name, sender in senders.items()}
        return node.is_sure, {"store": "ok" if node.is_sure else "not written to for a while", "smsbat": smsbat}

    return condition


async def _join(stack: contextlib.AsyncExitStack, database: Database) -> Node:
    """One node more among those that share the database; to leave is the last thing that it does."""
    node = Node(database)
    await node.join()

    async def leave() -> None:
        with contextlib.suppress(StoreUnavailable):
            await node.leave()

    stack.push_async_callback(leave)
    return node


async def _shared_works(node: Node, plan: Plan) -> SharedWorks:
    scripts = [*plan.accounts.targets.values(), *plan.accounts.by_request.values()]
    tellings = [telling(Script(each.account, each.dialect, each.by_request)) for each in scripts]
    works = SharedWorks(node, [RELEASES, SWEEP, *map(polling, plan.accounts.smsbat), *tellings])
    await works.look()
    return works


def _reporting(
    stack: contextlib.AsyncExitStack, plan: Plan, database: Database, works: Works, details: Details
) -> tuple[CallbackDispatcher, Reports, dict[str, Poller]]:
    """Callbacks going out, early reports and status reads, at work."""
    targets, web = plan.accounts.targets, WebClient()
    stack.push_async_callback(web.aclose)
    scripts = [*targets.values(), *plan.accounts.by_request.values()]
    dispatcher = CallbackDispatcher(CallbackStore(database, details), scripts, web, works)
    dispatcher.start()
    stack.push_async_callback(dispatcher.stop)
    reports = Reports(ReportStore(database, targets), dispatcher)
    _run_beside(stack, reports.run())
    hooks = plan.upstream.hooks
    pollers = {name: Poller(login, hooks, reports, works) for name, login in plan.accounts.smsbat.items()}
    for poller in pollers.values():
        _run_beside(stack, poller.run())
    return dispatcher, reports, pollers


async def _sending(
    stack: contextlib.AsyncExitStack, plan: Plan, database: Database, reports: Reports, node: Node
) -> tuple[MessageStore, dict[str, Sender]]:
    """The senders, at work, and the store they share."""
    store = MessageStore(database, node)
    senders = {
        name: Sender(login, plan.upstream, plan.accounts.accounts, store, reports)
        for name, login in plan.accounts.smsbat.items()
    }
    await _warn_of_orphans(store, plan)
    for sender in senders.values():
        await sender.start()
        stack.push_async_callback(sender.stop)
    return store, senders


async def _open(stack: contextlib.AsyncExitStack, doors: Doors, app: App, plan: Plan) -> None:
    """Let legacy clients in, at every door to the same application."""
    protocol = legacy_protocol(_unreadable(plan))
    servers = []
    if doors.plain:
        servers.append(await stack.enter_async_context(listening(app, doors.plain, protocol)))
    if doors.certificate:
        _run_beside(stack, doors.certificate.watch())
        tls = doors.certificate.context
        servers.append(await stack.enter_async_context(listening(app, doors.tls, protocol, tls)))
    # All doors close at once; each one's last requests are waited for behind that.
    for server in servers:
        stack.callback(setattr, server, "should_exit", True)


def _run_beside(stack: contextlib.AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Run something for as long as the gateway serves."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


async def _sweeping(database: Database, storage: PictureStorage, retention: int, works: Works) -> None:
    while True:
        try:
            if works.has(SWEEP):
                await sweep(database, storage, now_ms(), retention)
        except (StoreUnavailable, OSError) as error:
            log.error("what is kept too long can't be removed yet", error=str(error))
        except Exception:
            log.exception("the sweep stumbled and goes on")
        await asyncio.sleep(_SWEEP_PAUSE)


@contextlib.asynccontextmanager
async def _database(address: str) -> AsyncIterator[Database]:
    engine = open_engine(address)
    async with opened(engine) as database:
        yield database


async def _warn_of_orphans(store: MessageStore, plan: Plan) -> None:
    """Accepted messages whose SMSBAT login is no longer configured stay on disk, and somebody must know."""
    for name, count in (await store.unsettled_counts()).items():
        if name not in plan.accounts.smsbat:
            log.error("messages wait for an SMSBAT login that is not configured", smsbat=name, messages=count)


def _unreadable(plan: Plan) -> Unreadable:
    """What never gets as far as the application is answered in the dialect of its place all the same."""

    def answer(kind: str, host: str, path: str) -> Answer:
        dialect = plan.dialect_at(host, path)
        return dialect.refuse(Refusal(kind), dialect.base_of(path)[0])

    return answer
