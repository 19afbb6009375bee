"""A node among others: says that it is there, takes its share of the work, and starts over when it was not believed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from gateway.errors import StoreUnavailable
from gateway.metrics import NODES, tell_tallies
from gateway.outbound.sender import Sender
from gateway.outbound.works import SharedWorks
from gateway.store.nodes import BEAT, Node

log = structlog.get_logger("gateway.node")

#: Beats between looks for messages that nobody sends.
_LOOK = 10


async def keep_standing(node: Node, works: SharedWorks, senders: Mapping[str, Sender]) -> None:
    """Be there for as long as the gateway serves."""
    beats = 0
    while True:
        await asyncio.sleep(BEAT)
        beats += 1
        try:
            await _stand(node, works, senders)
            if beats % _LOOK == 0:
                _look_for_what_is_left(senders)
        except StoreUnavailable as error:
            log.error("this node can't say that it is there", error=str(error))
        except Exception:
            log.exception("a node stumbled and goes on")


async def _stand(node: Node, works: SharedWorks, senders: Mapping[str, Sender]) -> None:
    tell_tallies()
    before = node.alive
    if not await node.beat():
        await _start_over(node, works, senders)
    await works.look()
    NODES.set(len(node.alive))
    for sender in senders.values():
        sender.tell()
        sender.share(len(node.alive))
    if node.alive != before:
        log.info("nodes", count=len(node.alive))
        _look_for_what_is_left(senders)


async def _start_over(node: Node, works: SharedWorks, senders: Mapping[str, Sender]) -> None:
    """Nobody believed that this node is there: what it had, others may have by now. First all of it stops."""
    log.warning("the other nodes counted this one as dead: it starts over")
    works.drop()
    for sender in senders.values():
        sender.start_over()
    await node.join()
    _look_for_what_is_left(senders)


def _look_for_what_is_left(senders: Mapping[str, Sender]) -> None:
    """What a dead node had may have been locked at its last moment, or written after the others looked."""
    for sender in senders.values():
        sender.released()
