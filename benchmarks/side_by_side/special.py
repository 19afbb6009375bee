"""What is not a turn under load: reports meanwhile, a backlog of callbacks, starts, a database that is full."""

from __future__ import annotations

from pathlib import Path

from benchmarks.side_by_side import gateways
from benchmarks.side_by_side.contenders import CONTENDERS, GATEWAY, Site
from benchmarks.side_by_side.figures import Results
from benchmarks.side_by_side.points import SIXTY_FOUR, Bench, Point
from benchmarks.side_by_side.processes import port_of
from benchmarks.side_by_side.seeding import seed
from benchmarks.side_by_side.standin import Behaviour

#: Names of figures.
START_FRESH, START_AGAIN = "start to first answer, new database", "start to first answer, existing database"
BACKLOG = "callbacks a second from a backlog"
REPORTED_MESSAGES, REPORTS = "messages a second while reports come", "reports a second meanwhile"
REPORTED_CALLBACKS = "callbacks a second meanwhile"
CATCH_UP, UNTOLD = "seconds until all callbacks are out", "callbacks that never came"
#: The gateway on a database with so many messages, and on one with none, as names among the contenders.
FULL, FULL_COUNT = "gateway_full", 5_000_000
EMPTY = "gateway_empty"
IN_TURNS = Point("64 connections, turns on a full and on an empty database", SIXTY_FOUR.connections)

_GATEWAY = CONTENDERS[GATEWAY]
_PATIENCE = 120.0
#: The stand-in tells a message's end a second after it got it.
_TOLD_AFTER = 1.0
_LOOK = 0.05


def starts(site: Site, results: Results) -> None:
    """From the process's start to the first good answer to a legacy request."""
    folder = site.fresh_folder()
    for name in (START_FRESH, START_AGAIN):
        with _GATEWAY.serving(site, folder=folder) as running:
            results.others[name].append(running.start)


def backlog(site: Site, count: int, results: Results) -> None:
    """So many callbacks are owed when the gateway starts; nothing else is to be done."""
    folder = seed(site.fresh_folder(), count, owed=True)
    site.standin.reset()
    site.standin.pin(_GATEWAY.core)
    with _GATEWAY.serving(site, told=True, folder=folder):
        began, _ = site.standin.wait_until(lambda counts: counts.callbacks > 0, _PATIENCE)
        ended, seconds = site.standin.wait_until(lambda counts: counts.callbacks >= count, _PATIENCE, _LOOK)
    results.others[BACKLOG].append((ended.callbacks - began.callbacks) / seconds)


def reports(site: Site, bench: Bench, results: Results) -> None:
    """SMSBAT tells every message's end by the webhook, and the partner's script is told of it, while messages come."""
    with _GATEWAY.serving(site, told=True) as running:
        bench.warm_up(_GATEWAY, running)
        hook = (port_of(running.address), gateways.HOOK_PATH)
        point = Point(
            "64 connections, SMSBAT tells of every message", SIXTY_FOUR.connections, Behaviour(hook=hook), turns=3
        )
        turn = bench.turn(_GATEWAY, running, point)
        meanwhile = site.standin.counts
        counts, catch_up = site.standin.wait_until(lambda counts: counts.callbacks >= counts.messages, _PATIENCE, _LOOK)
    results.others[REPORTED_MESSAGES].append(turn.rate)
    results.others[REPORTS].append(meanwhile.told / (turn.seconds - _TOLD_AFTER))
    results.others[REPORTED_CALLBACKS].append(meanwhile.callbacks / (turn.seconds - _TOLD_AFTER))
    results.others[CATCH_UP].append(catch_up)
    results.others[UNTOLD].append(max(0, counts.messages - counts.callbacks))


def full(site: Site, bench: Bench, folder: Path, results: Results) -> None:
    """Turn by turn on a full database and on an empty one: minutes later, the machine would be another."""
    with _GATEWAY.serving(site, folder=folder) as filled, _GATEWAY.serving(site) as empty:
        both = {FULL: filled, EMPTY: empty}
        for running in both.values():
            bench.warm_up(_GATEWAY, running)
        for name in (FULL, EMPTY, EMPTY, FULL) * 2:
            results.turns[IN_TURNS, name].append(bench.turn(_GATEWAY, both[name], IN_TURNS))
