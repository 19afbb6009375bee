"""A node among others: says that it is there, takes its share of the work, and starts over when it was not believed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from gateway.errors import StoreUnavailable
from gateway.metrics import NODES
from gateway.outbound.sender import Sender
from gateway.outbound.works import SharedWorks
from gateway.store.nodes import BEAT, Node

log = structlog.get_logger("gateway.node")


async def keep_standing(node: Node, works: SharedWorks, senders: Mapping[str, Sender]) -> None:
    """Be there for as long as the gateway serves."""
    while True:
        await asyncio.sleep(BEAT)
        try:
            await _stand(node, works, senders)
        except StoreUnavailable as error:
            log.error("this node can't say that it is there", error=str(error))
        except Exception:
            log.exception("a node stumbled and goes on")


async def _stand(node: Node, works: SharedWorks, senders: Mapping[str, Sender]) -> None:
    before, was_sure = node.alive, node.is_sure
    if was_sure:
        await node.beat()
    else:
        await node.join()
        log.warning("this node was not believed to be there, and starts over")
    await works.look()
    NODES.set(len(node.alive))
    for sender in senders.values():
        sender.tell()
        if not was_sure:
            sender.start_over()
        if node.alive != before:
            sender.share(len(node.alive))
    if node.alive != before:
        log.info("nodes", count=len(node.alive))
