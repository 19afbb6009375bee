"""Servers as processes of their own: pinned to a core, waited for, watched, and ended."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.settings import Address, host_and_port
from tests.support.raw import Response, exchange

#: The core of what is measured, and that of the load and the stand-in SMSBAT.
SERVER_CORE, LOAD_CORE = 0, 1
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 30.0
#: States of processes that have ended.
_ENDED = ("Z", "X")


@dataclass(frozen=True, slots=True)
class Command:
    """What starts a server; others start behind it, and it is asked, when it ``listens`` there and ``is_ready``."""

    words: Sequence[str]
    listens: Address | None = None
    is_ready: Callable[[], bool] | None = None


class DidNotStart(Exception):
    """A server ended or never answered; the text has the end of its log."""


class Server:
    """One server with all its processes: they are one process group."""

    def __init__(self, words: Sequence[str], log: Path, core: int | None) -> None:
        self.command = pinned(words, core)
        self._log = log
        self.started_at = time.monotonic()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_for(self, address: Address, raw: bytes, good: bytes) -> float:
        """Ask until the answer has ``good`` in it; returns the seconds since the start. Raises ``DidNotStart``."""
        return self.wait_until(lambda: good in answer_to(address, raw))

    def wait_until(self, holds: Callable[[], bool]) -> float:
        """The same until something holds."""
        deadline = self.started_at + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            if holds():
                return time.monotonic() - self.started_at
            time.sleep(0.002)
        end = self._log.read_text(errors="replace")[-2000:]
        raise DidNotStart(f"{shlex.join(self.command)}\n{end}")

    @property
    def processes(self) -> list[int]:
        """The ids of its processes that have not ended."""
        return [int(each.name) for each in Path("/proc").glob("[0-9]*") if _group(each) == self._process.pid]

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far, in the system's ticks of usually 10 ms."""
        return sum(_ticks(pid) for pid in self.processes) / _TICKS

    @property
    def peak_memory(self) -> int:
        """The most bytes that its processes ever held, each by itself, added up."""
        return sum(_peak(pid) for pid in self.processes)

    def pin(self, core: int | None) -> None:
        """Run on one core from now on, or on any."""
        for pid in self.processes:
            os.sched_setaffinity(pid, range(os.cpu_count() or 1) if core is None else {core})

    def stop(self) -> None:
        """End all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        while self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.poll()
            time.sleep(0.002)
        self._process.wait()


def pinned(words: Sequence[str], core: int | None) -> list[str]:
    """A command that runs on one core, or on any."""
    return [*(["taskset", "-c", str(core)] if core is not None else []), *words]


@contextlib.contextmanager
def serving(command: Command, log: Path, core: int | None) -> Iterator[Server]:
    """A server that runs while the block runs."""
    server = Server(command.words, log, core)
    try:
        if command.listens:
            server.wait_until(partial(is_open, command.listens))
        if command.is_ready:
            server.wait_until(command.is_ready)
        yield server
    finally:
        server.stop()


def core_seconds(core: int) -> float:
    """How long a core has worked for programs so far, or was kept by the host, in the system's ticks."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} "))
    user, nice, system, _idle, _waiting, _irq, _softirq, stolen = map(int, line.split()[1:9])
    return (user + nice + system + stolen) / _TICKS


def answer_to(address: Address, raw: bytes) -> bytes:
    """The body of the answer to a raw request; blank when there is none."""
    try:
        response: Response = exchange(address, raw)
    except (OSError, ValueError):
        return b""
    return response.body if response.status in (200, 202) else b""


def is_open(address: Address) -> bool:
    """Whether it takes connections there."""
    try:
        socket.create_connection(host_and_port(address), 1).close()
    except OSError:
        return False
    return True


def port_of(address: Address) -> int:
    """The port of an address."""
    return host_and_port(address)[1]


def _fields(process: Path) -> list[str]:
    """The fields of a process's ``stat`` behind its name, from the third one on; none when it is gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _group(process: Path) -> int:
    """The process group; 0 for a process that is gone, or has ended and was not asked for its end yet."""
    fields = _fields(process)
    return int(fields[2]) if fields and fields[0] not in _ENDED else 0


def _ticks(pid: int) -> int:
    fields = _fields(Path("/proc") / str(pid))
    return int(fields[11]) + int(fields[12]) if fields else 0


def _peak(pid: int) -> int:
    try:
        status = (Path("/proc") / str(pid) / "status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
