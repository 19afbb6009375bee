"""One plan at work: everything that follows from the mapping files, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from gateway import tracing
from gateway.clock import now_ms
from gateway.errors import StoreUnavailable
from gateway.inbound.album import Album
from gateway.inbound.app import LegacyApp
from gateway.inbound.body import App
from gateway.inbound.hooks import HookApp
from gateway.inbound.mailings import Mailer
from gateway.inbound.operations import build_operations, bulk_details
from gateway.inbound.send import SendOperation
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
from gateway.store.asking import AskingStore
from gateway.store.callbacks import CallbackStore, Details, Script
from gateway.store.codes import CodeStore
from gateway.store.database import Database
from gateway.store.forgetting import forget_old
from gateway.store.mailings import MailingStore
from gateway.store.messages import MessageStore
from gateway.store.nodes import Node
from gateway.store.numbers import Numbers
from gateway.store.pictures import PictureStorage
from gateway.store.records import RecordStore
from gateway.store.releases import ReleaseStore
from gateway.store.reports import ReportStore
from gateway.store.retention import sweep

log = structlog.get_logger("gateway.app")

#: Seconds between sweeps of what is kept too long, and looks whether this node is the one to sweep.
_SWEEP_PAUSE, _LOOK = 3600.0, 60.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What stays the same whatever the mapping files say. Messages and pictures are kept for so many milliseconds."""

    database: Database
    numbers: Numbers
    album: Album
    storage: PictureStorage
    retention: int
    picture_retention: int
    observer: tracing.Observer


@dataclass(frozen=True, slots=True)
class Translation:
    """A plan at work: what serves requests by it, and how it stands."""

    plan: Plan
    app: App
    node: Node
    senders: Mapping[str, Sender]
    works: SharedWorks
    dispatcher: CallbackDispatcher

    @property
    def is_ready(self) -> bool:
        """Whether what is accepted can be written down. SMSBAT may be away: what is accepted waits for it."""
        return self.node.is_sure

    @property
    def condition(self) -> Mapping[str, Any]:
        """What there is to say of it."""
        smsbat = {name: sender.condition for name, sender in self.senders.items()}
        why = f": {self.node.trouble}" if self.node.trouble else ""
        return {"store": "ok" if self.is_ready else f"not written to for a while{why}", "smsbat": smsbat}

    async def hand_over(self) -> None:
        """A successor is there: what only one does at a time is its own, since it may know of other scripts.

        First what is being told to scripts ends: told by two, it could come in another order.
        """
        for sender in self.senders.values():
            # Until the next beat shows who is there.
            sender.share(len(self.node.alive) + 1)
        self.works.end()
        await self.dispatcher.stop()
        with contextlib.suppress(StoreUnavailable):
            await self.node.let_go()

    async def finish(self) -> None:
        """What is in memory goes out: a call that is cut off is made again by who follows."""
        await asyncio.gather(*(sender.finish() for sender in self.senders.values()))


@contextlib.asynccontextmanager
async def translating(plan: Plan, ground: Ground) -> AsyncIterator[Translation]:
    """Work by a plan while the block runs. It is a node of its own: its successor takes over what it leaves."""
    async with contextlib.AsyncExitStack() as stack:
        database = ground.database
        records, asking = RecordStore(database), AskingStore(database)
        mailings = MailingStore(database, ground.numbers)
        node = await _join(stack, database)
        works = await _shared_works(node, plan)
        senders: dict[str, Sender] = {}
        run_beside(stack, keep_standing(node, works, senders))
        dispatcher, reports, pollers = _reporting(stack, plan, database, works, bulk_details(mailings, asking))
        store = await _sending(stack, plan, MessageStore(database, node), reports, senders, len(node.alive))
        releaser = Releaser(ReleaseStore(database, plan.accounts.accounts), senders, pollers, dispatcher, works)
        run_beside(stack, releaser.run())
        send = SendOperation(store, senders, reports, ground.numbers, releaser)
        operations = build_operations(send, records, asking, CodeStore(database), Mailer(mailings, asking, releaser))
        operations, observer = tracing.traced_operations(operations), tracing.traced_observer(ground.observer)
        legacy = tracing.traced_app(LegacyApp(plan, operations, ground.album, records, observer))
        run_beside(stack, _sweeping(ground, works))
        PLAN.set(now_ms() / 1000)
        app = HookApp(plan.accounts.hooks, plan.upstream.hooks, reports, legacy)
        yield Translation(plan, app, node, senders, works, dispatcher)


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
    run_beside(stack, reports.run())
    hooks = plan.upstream.hooks
    pollers = {name: Poller(login, hooks, reports, works) for name, login in plan.accounts.smsbat.items()}
    for poller in pollers.values():
        run_beside(stack, poller.run())
    return dispatcher, reports, pollers


async def _sending(
    stack: contextlib.AsyncExitStack,
    plan: Plan,
    store: MessageStore,
    reports: Reports,
    senders: dict[str, Sender],
    among: int,
) -> MessageStore:
    """Fill in the senders, at work; returns the store that they share. So many nodes are there."""
    await _warn_of_orphans(store, plan)
    for name, login in plan.accounts.smsbat.items():
        sender = senders[name] = Sender(login, plan.upstream, plan.accounts.accounts, store, reports)
        sender.share(among)
        await sender.start()
        stack.push_async_callback(sender.stop)
    return store


def run_beside(stack: contextlib.AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Run something for as long as the gateway serves."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


async def _sweeping(ground: Ground, works: Works) -> None:
    while True:
        mine = works.has(SWEEP)
        try:
            if mine:
                await sweep(ground.database, ground.storage, now_ms(), ground.picture_retention)
                await forget_old(ground.database, now_ms() - ground.retention)
        except (StoreUnavailable, OSError) as error:
            log.error("what is kept too long can't be removed yet", error=str(error))
        except Exception:
            log.exception("the sweep stumbled and goes on")
        await asyncio.sleep(_SWEEP_PAUSE if mine else _LOOK)


async def _warn_of_orphans(store: MessageStore, plan: Plan) -> None:
    """Accepted messages whose SMSBAT login is no longer configured stay on disk, and somebody must know."""
    for name, count in (await store.unsettled_counts()).items():
        if name not in plan.accounts.smsbat:
            log.error("messages wait for an SMSBAT login that is not configured", smsbat=name, messages=count)
