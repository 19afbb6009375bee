"""What the measurements need of the machine, and what it is."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import statistics
import tempfile
import time
import timeit
from collections.abc import Collection
from pathlib import Path

#: The Debian package of each program and file that is needed.
PROGRAMS = {"wrk": "wrk", "nginx": "nginx", "bearerbox": "kannel", "smsbox": "kannel", "taskset": "util-linux"}
FILES = {
    "nginx/modules/ndk_http_module.so": "libnginx-mod-http-lua",
    "nginx/modules/ngx_http_lua_module.so": "libnginx-mod-http-lua",
    "*/lua/5.1/cjson.so": "lua-cjson",
}
#: Where distributions keep daemons, which is not on everybody's path.
SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
_LIBRARIES = Path("/usr/lib")
_FLUSHES = 200
_CALLS = 200_000


def program(name: str) -> str:
    """The path of a program that is there."""
    found = shutil.which(name, path=SEARCHED)
    assert found, name
    return found


def missing() -> set[str]:
    """The Debian packages that are not there."""
    programs = {package for name, package in PROGRAMS.items() if shutil.which(name, path=SEARCHED) is None}
    return programs | {package for pattern, package in FILES.items() if not any(_LIBRARIES.glob(pattern))}


def library(pattern: str) -> Path:
    """The path of a library that is there."""
    return next(_LIBRARIES.glob(pattern))


def flush_seconds(folder: Path) -> float:
    """How long the disk under a folder takes to keep a page that was added to a file: the median of many."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_FLUSHES):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return statistics.median(took)


def description(folder: Path) -> str:
    """Machine and date in one line."""
    cores, memory = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    flush = flush_seconds(folder) * 1000
    return (
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC; {_processor()}, {cores} cores, {memory:.0f} GiB; "
        f"Linux {platform.release()}, {_interpreter()}; a disk flush (fdatasync) took {flush:.2f} ms"
    )


def _interpreter() -> str:
    """With how fast it is: of the same version, one built as distributions do it is a fifth faster than a plain one."""
    took = min(timeit.repeat(lambda: _calls(_CALLS), number=1, repeat=5)) * 1000
    return f"CPython {platform.python_version()} ({_CALLS:,} calls of a small function: {took:.1f} ms)"


def _calls(count: int) -> None:
    def small(number: int, words: dict[str, int]) -> int:
        return words.get("a", 0) + number

    words = {"a": 1}
    for number in range(count):
        small(number, words)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def said(packages: Collection[str]) -> str:
    """What to do about missing packages."""
    return f"not installed: {', '.join(sorted(packages))} (apt-get install {' '.join(sorted(packages))})"
