"""Gateway processes to be killed: forked from one that has imported everything, armed if they are to die at a point.

``python -m benchmarks.ledger.node`` reads from its input one JSON object a line, ``Birth`` as a dictionary, and answers
each with the number of a process that runs the gateway's own command. At the end of its input it kills them all.
Nothing but the imports is shared: no loop, thread, connection or file of the gateway is there before the fork.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gateway.points import Hook, Point, arm

#: What the command imports late.
_AHEAD = (
    *("gateway.cli", "gateway.serve", "gateway.outbound.transports"),
    *("alembic.command", "psycopg", "sqlalchemy.dialects.postgresql", "uvloop"),
)


@dataclass(frozen=True, slots=True)
class Birth:
    """One process: its command line, where its log goes, and at which passing of which point it dies, if at any.

    It notes in the file ``marks`` that it did, with the moment of the machine's monotonic clock.
    """

    arguments: list[str]
    log: str
    marks: str
    point: str | None
    nth: int


def dying_at(point: Point, nth: int, marks: Path) -> Hook:
    """A hook that kills the process at the n-th passing of a point, in whichever thread that is."""
    passing = itertools.count(1)
    file = os.open(marks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def hook(reached: Point) -> None:
        if reached is point and next(passing) == nth:
            os.write(file, f"{time.monotonic()}\t{point}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def _live(birth: Birth) -> NoReturn:
    """Become the gateway."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log, nothing = os.open(birth.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), os.open(os.devnull, os.O_RDONLY)
    for file, number in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(file, number)
    if birth.point is not None:
        arm(dying_at(Point(birth.point), birth.nth, Path(birth.marks)))
    code = 1
    try:
        sys.argv = ["smsbat-gateway", *birth.arguments]
        importlib.import_module("gateway.cli").main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        os._exit(code)


def main() -> None:
    """Fork one process for each line of the input."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name in _AHEAD:
        importlib.import_module(name)
    born: list[tuple[int, int]] = []
    for line in sys.stdin:
        process = os.fork()
        # A process group of its own, whoever of both comes first: it may be killed at once.
        with contextlib.suppress(ProcessLookupError):
            os.setpgid(process, process)
        if process == 0:
            for _, end in born:
                os.close(end)
            _live(Birth(**json.loads(line)))
        with contextlib.suppress(ProcessLookupError):
            born.append((process, os.pidfd_open(process)))
        print(process, flush=True)
    for process, end in born:
        kill_group(process, end)


def kill_group(process: int, end: int) -> None:
    """Kill a process and those that it forked, unless it is gone: its number may be another's by then.

    ``end`` is its file descriptor.
    """
    if not select.select([end], [], [], 0)[0]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
