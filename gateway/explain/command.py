"""The ``explain`` command."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path

import orjson
from rich.console import Console

from gateway.errors import ConfigurationError
from gateway.explain.curl import NotCurl, read_curl
from gateway.explain.explanation import explain
from gateway.explain.render import render
from gateway.mapping.loader import accounts_in, load
from gateway.wire.raw_http import NotHttp, read_request

#: Columns when the output is no terminal: wide enough that a table's lines stay whole.
WIDTH = 160


def run_explain(given: str, mappings: Path, as_json: bool) -> bool:
    """Explain a request; true when its client would be answered success. Raises ``ConfigurationError``."""
    # A terminal that can't show a letter gets its code instead of an error.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        request = read_request(_raw(given))
    except (NotCurl, NotHttp) as error:
        raise ConfigurationError(f"this is no request: {error}") from error
    told = explain(load(_accounts_or_demo(mappings)), request)
    if as_json:
        sys.stdout.write(orjson.dumps(asdict(told), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        render(told, Console(emoji=False) if sys.stdout.isatty() else Console(width=WIDTH, emoji=False))
    return told.refusal is None


def _raw(given: str) -> bytes:
    """The raw request: from stdin, from a file, or made of a curl command line (which stdin may hold too)."""
    if given.lstrip().startswith("curl "):
        return read_curl(given)
    raw = sys.stdin.buffer.read() if given == "-" else _file(Path(given))
    return read_curl(os.fsdecode(raw)) if raw.lstrip()[:5] == b"curl " else raw


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the file {path} can't be read: {error.strerror}") from error


def _accounts_or_demo(mappings: Path) -> list[Path]:
    """A folder without accounts of its own is explained with the demo's account."""
    demo = mappings / "demo"
    return [mappings, demo] if demo.exists() and not accounts_in(mappings) else [mappings]
