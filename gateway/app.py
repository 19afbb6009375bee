"""The composition root: everything a running gateway consists of, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import structlog

from gateway.console.operator import operator_app
from gateway.errors import Refusal
from gateway.inbound.app import LegacyApp, Observer, log_exchange
from gateway.inbound.protocol import Unreadable, legacy_protocol
from gateway.inbound.send import SendOperation
from gateway.listener import listening
from gateway.mapping.answers import Answer
from gateway.mapping.loader import Plan
from gateway.outbound.sender import Sender
from gateway.store.engine import open_engine
from gateway.store.messages import MessageStore
from gateway.store.migrations import migrate
from gateway.store.ownership import sole_ownership
from gateway.store.writer import GroupCommitWriter

log = structlog.get_logger("gateway.app")


@contextlib.asynccontextmanager
async def gateway(
    plan: Plan, database: str, legacy: socket.socket, operator: socket.socket, observer: Observer = log_exchange
) -> AsyncIterator[None]:
    """A gateway that serves while the block runs. Raises ``ConfigurationError`` when it can't start."""
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(_store(database))
        senders = {
            name: Sender(login, plan.upstream, plan.accounts.accounts, store)
            for name, login in plan.accounts.smsbat.items()
        }
        await _warn_of_orphans(store, plan)
        for sender in senders.values():
            await sender.start()
            stack.push_async_callback(sender.stop)
        app = LegacyApp(plan, SendOperation(store, senders), observer)
        await stack.enter_async_context(listening(operator_app(), operator))
        await stack.enter_async_context(listening(app, legacy, legacy_protocol(_unreadable(plan))))
        yield


@contextlib.asynccontextmanager
async def _store(database: str) -> AsyncIterator[MessageStore]:
    engine = open_engine(database)
    async with sole_ownership(engine):
        await asyncio.to_thread(migrate, engine)
        writer = GroupCommitWriter(engine)
        try:
            yield MessageStore(engine, writer)
        finally:
            await writer.close()
            engine.dispose()


async def _warn_of_orphans(store: MessageStore, plan: Plan) -> None:
    """Accepted messages whose SMSBAT login is no longer configured stay on disk, and somebody must know."""
    for name, count in (await store.unsettled_counts()).items():
        if name not in plan.accounts.smsbat:
            log.error("messages wait for an SMSBAT login that is not configured", smsbat=name, messages=count)


def _unreadable(plan: Plan) -> Unreadable:
    """Bytes that are no HTTP have no path: they are answered in the dialect that answers at ``/``."""
    dialect = plan.dialect_at("/")

    def answer(kind: str) -> Answer:
        return dialect.refuse(Refusal(kind))

    return answer
