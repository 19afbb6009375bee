"""Several processes of one machine behind the same listening sockets; their parent does nothing but watch over them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import structlog

from gateway.metrics import forget_process

log = structlog.get_logger("gateway.workers")

#: Seconds before a worker is started again that ended by itself, lest one that can't start is started all the time.
_PAUSE = 1.0
_STOPS = (signal.SIGTERM, signal.SIGINT)


class Workers:
    """Forked before anything else is begun: they share what the parent has loaded and bound.

    ``work`` is given a file descriptor that can be read when the parent is gone, and whether it is begun again: what
    the parent has loaded may be old then.
    """

    def __init__(self, count: int, work: Callable[[int, bool], None]) -> None:
        self._work = work
        self._stopping = False
        self._running: set[int] = set()
        # Whoever has the one end can read from it when the parent is gone, however that ended.
        self._parents_end, self._own_end = os.pipe()
        for _ in range(count):
            self._start(again=False)

    def watch(self) -> None:
        """Start workers again that end by themselves, until the process is told to stop; then wait for all of them."""
        # It serves nothing: what is told of all that live would be told of it too.
        forget_process(os.getpid())
        for number in _STOPS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        while self._running:
            worker, status = os.wait()
            self._running.discard(worker)
            forget_process(worker)
            if not self._stopping:
                log.error("a worker ended by itself, and is started again", status=os.waitstatus_to_exitcode(status))
                time.sleep(_PAUSE)
            self._start(again=True)

    def _start(self, again: bool) -> None:
        # Told to stop in the middle, the parent would not know of the worker yet, nor the worker how to stop.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        worker = None if self._stopping else os.fork()
        if worker:
            self._running.add(worker)
        if worker != 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
            return
        for number in _STOPS:
            signal.signal(number, signal.SIG_DFL)
        # Until it begins: it loads what is there then.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        os.close(self._own_end)
        code = 1
        try:
            self._work(self._parents_end, again)
            code = 0
        except Exception:
            log.exception("a worker failed")
        finally:
            os._exit(code)

    def _pass_on(self, number: int, _frame: Any) -> None:
        for worker in [*self._running]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, number)

    def _stop(self, *_: Any) -> None:
        self._stopping = True
        self._pass_on(signal.SIGTERM, None)
