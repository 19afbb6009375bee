"""How many instructions of the processor one send takes: counted, so the same whatever else the machine does.

``python -m benchmarks.instructions``. Needs Debian's ``valgrind``, under which the gateway's own command runs twice,
for few messages and for more; what differs is theirs. It is some fifty times as slow there, so that fewer messages
share a call and a commit than in life: a figure to compare changes by. What the kernel does is not in it.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.side_by_side.gateways import Setup, command, sqlite
from benchmarks.side_by_side.machine import program
from benchmarks.side_by_side.processes import is_open
from benchmarks.side_by_side.requests import legacy, messages
from gateway.settings import Address, host_and_port
from tests.support.load import ACCEPTED, asked
from tests.support.servers import eventually, free_address, running_sandbox

FEW, MANY, CONNECTIONS = 500, 2500, 64
#: Seconds that a start or an end may take there.
_PATIENCE = 300.0
_COUNTED = re.compile(r"Collected : (\d+)")
#: Nobody reads what it says of functions: of an interpreter's they tell little.
_COUNTING = ["--tool=callgrind", "--callgrind-out-file=/dev/null"]


def counted(count: int) -> int:
    """Instructions of a gateway's whole life in which so many messages are sent."""
    with tempfile.TemporaryDirectory() as name, running_sandbox() as sandbox:
        folder, address = Path(name), free_address()
        words = command(folder, address, sqlite(folder), Setup(sandbox.url))
        log = folder / "log"
        with log.open("wb") as output:
            environment = {**os.environ, "PYTHONHASHSEED": "0"}
            counting = [program("valgrind"), *_COUNTING, *words]
            process = subprocess.Popen(counting, stdout=output, stderr=output, env=environment)
        try:
            eventually(lambda: is_open(address), _PATIENCE)
            asyncio.run(_send(address, count))
            process.terminate()
            process.wait(_PATIENCE)
        finally:
            process.kill()
        found = _COUNTED.search(log.read_text(errors="replace"))
        assert found, "valgrind counted nothing"
        return int(found[1])


async def _send(address: Address, count: int) -> None:
    left = messages(count)
    await asyncio.gather(*(_client(address, left) for _ in range(CONNECTIONS)))


async def _client(address: Address, left: Iterator[tuple[str, str]]) -> None:
    reader, writer = await asyncio.open_connection(*host_and_port(address))
    for phone, text in left:
        assert ACCEPTED in await asked(reader, writer, legacy(phone, text))
    writer.close()


def main() -> None:
    """Count, and print what a message takes."""
    few, many = counted(FEW), counted(MANY)
    print(f"{(many - few) // (MANY - FEW):,} instructions a message, {few:,} for the start, {FEW} messages and the end")


if __name__ == "__main__":
    main()
