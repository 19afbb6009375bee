"""wrk, run once, and what it says."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.side_by_side.machine import program
from benchmarks.side_by_side.processes import pinned
from gateway.settings import Address

_SCRIPT = Path(__file__).parent / "lua" / "load.lua"
_STEP = 7919
_starts = itertools.count(0, _STEP)


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: latencies in seconds, answers of another status than 2xx or 3xx, and broken connections."""

    answers: int
    seconds: float
    p50: float
    p99: float
    refused: int
    broken: int


def parse(output: str) -> Load:
    """Read the line that ``load.lua`` prints. Raises ``ValueError`` when there is none."""
    line = next((line for line in output.splitlines() if line.startswith('{"answers"')), None)
    if line is None:
        raise ValueError(f"wrk said nothing of its figures:\n{output}")
    told = json.loads(line)
    p50, p99 = told["p50_us"] / 1e6, told["p99_us"] / 1e6
    return Load(told["answers"], told["seconds"], p50, p99, told["refused"], told["broken"])


def command(address: Address, requests: Path, connections: int, seconds: int, core: int | None) -> list[str]:
    """The command that loads a server for so many seconds."""
    load = [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
    script = ["-s", str(_SCRIPT), f"http://{address}/", "--", str(requests), str(next(_starts))]
    return pinned([*load, *script], core)


def run(command: Sequence[str], seconds: int) -> Load:
    """Run it to its end."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True)
    return parse(done.stdout)
