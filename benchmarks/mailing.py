"""One mailing to 100,000 numbers: how long each step takes, the process's memory, and what it adds to the database.

``python -m benchmarks.mailing [numbers]``. A real gateway process, a real SQLite file, a sandbox in this process.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gateway.settings import Address
from tests.support.process import GatewayProcess, gateway_process
from tests.support.servers import accounts, eventually, free_address, running_sandbox, write_mappings
from tests.support.smsby import call, post_json, result

ROWS = 500
Result = TypeVar("Result")


def timed(what: str, work: Callable[[], Result]) -> Result:
    """Do something, and print how long it took."""
    started = time.perf_counter()
    found = work()
    print(f"{what:<48} {time.perf_counter() - started:8.2f} s")
    return found


def import_all(address: Address, count: int) -> int:
    """A list of so many subscribers, 500 in a request as the API has it."""
    number: int = result(call(address, "createSubscriberList", name="Everybody"))["list_id"]
    for first in range(0, count, ROWS):
        rows = [[f"37529{i:07d}", f"Name {i}"] for i in range(first, min(first + ROWS, count))]
        document = {"list_id": number, "field_names": ["phone", "name"], "data": rows}
        assert result(post_json(address, "importContacts", document))["inserted"] == len(rows)
    return number


def size(folder: Path) -> int:
    """Bytes of the database, its write-ahead log included."""
    return sum(file.stat().st_size for file in folder.glob("gateway.db*"))


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name, running_sandbox(pace=0.0) as sandbox:
        folder = Path(name)
        mappings = write_mappings(folder / "mappings", accounts(sandbox.url, smsby={}))
        with gateway_process(mappings, folder / "gateway.db", free_address(), folder / "log") as process:
            measure(process, folder, count, sandbox.summary)


def measure(process: GatewayProcess, folder: Path, count: int, summary: Callable[[], dict[str, int]]) -> None:
    """All steps, one after the other."""
    address = process.address
    number = timed(f"import {count} contacts, {ROWS} a request", lambda: import_all(address, count))
    before, memory = size(folder), process.peak_memory
    text: dict[str, Any] = {
        "vibername_id": 444,
        "list_id": number,
        "message": "Новости: всё со скидкой до конца недели!",
    }
    mailing = timed("sendViberMessageList", lambda: result(call(address, "sendViberMessageList", **text)))["message_id"]
    timed("confirmViberMessage", lambda: call(address, "confirmViberMessage", message_id=mailing))
    timed("until SMSBAT has all of them", lambda: eventually(lambda: summary()["messages"] == count, 600))
    print(f"{'calls to SMSBAT, doubles':<48} {summary()['calls']:8} {summary()['doubles']}")
    print(f"{'peak memory before and after':<48} {memory // 2**20:8} {process.peak_memory // 2**20} MiB")
    everything: dict[str, Any] = {"message_id": mailing}
    listed = timed("all of it", lambda: result(call(address, "getViberDeliveryList", **everything)))
    assert len(listed) == count
    print(f"{'peak memory with all of it in one answer':<48} {process.peak_memory // 2**20:8} MiB")
    grown = size(folder) - before
    print(f"{'database grew by':<48} {grown // 2**20:8} MiB, {grown // count} B a message")

    sms = timed("sendSmsList, sent at once", lambda: result(call(address, "sendSmsList", list_id=number, message="Hi")))
    page: dict[str, Any] = {"message_id": sms["message_id"], "limit_offset": count // 2, "limit_rows": 100}
    timed("a page of 100 from the middle", lambda: result(call(address, "getSmsDeliveryList", **page)))


if __name__ == "__main__":
    main()
