"""The gateway as a process of its own, that can be killed."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from gateway.settings import Address
from tests.support.servers import MAPPINGS, eventually, free_address

COMMAND = [sys.executable, "-m", "gateway"]


def command(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a gateway command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=MAPPINGS.parent,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


class GatewayProcess:
    """One life of a gateway process."""

    def __init__(
        self, mappings: Path, database: Path | str, address: Address, log: Path, environment: dict[str, str]
    ) -> None:
        """``database`` is an SQLite file, or a URL."""
        url = database if isinstance(database, str) else f"sqlite:///{database}"
        self.address = address
        self.operator = free_address()
        with log.open("a") as stderr:
            self._process = subprocess.Popen(
                [
                    *(*COMMAND, "serve", "--listen", address, "--operator-listen", self.operator),
                    *("--mappings", str(mappings), "--database", url),
                ],
                stdout=stderr,
                stderr=stderr,
                cwd=MAPPINGS.parent,
                env={
                    **os.environ,
                    "GATEWAY_MEDIA": str(log.parent / "media"),
                    # What a killed one leaves behind.
                    "TMPDIR": str(log.parent),
                    "GATEWAY_LOG_FORMAT": "json",
                    **environment,
                },
            )
        eventually(self._is_up)

    def _is_up(self) -> bool:
        assert self._process.poll() is None, "the gateway ended by itself"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self.operator}/healthz") as answer:
            return bool(answer.status == 200)
        return False

    @property
    def peak_memory(self) -> int:
        """The most bytes that it ever held."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    @property
    def children(self) -> list[int]:
        """Its worker processes."""
        listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(each) for each in listed.split()]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def ask_to_stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def terminate(self) -> int:
        self.ask_to_stop()
        return self.ended()

    def ended(self) -> int:
        """The exit status of one that was asked to stop."""
        return self._process.wait(30)

    def limit_files(self, size: int | None) -> None:
        """Let it write no file beyond so many bytes, as if the disk were full; ``None`` lifts that."""
        hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


@contextlib.contextmanager
def gateway_process(
    mappings: Path, database: Path | str, address: Address, log: Path, environment: dict[str, str] | None = None
) -> Iterator[GatewayProcess]:
    """A gateway that is killed at the end of the block, unless it ended before."""
    process = GatewayProcess(mappings, database, address, log, environment or {})
    try:
        yield process
    finally:
        process.kill()
