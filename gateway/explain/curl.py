"""A pasted ``curl`` command line as the request that curl would send."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

BOUNDARY = b"------------------------explained"
#: Options that take a value and change nothing that translation looks at.
_IGNORED_WITH_VALUE = (
    "-u",
    "-A",
    "-e",
    "-o",
    "-m",
    "-x",
    "-b",
    "-c",
    "-w",
    "-E",
    "--cacert",
    "--cert",
    "--key",
    "--resolve",
    "--connect-timeout",
    "--max-time",
    "--user-agent",
    "--output",
    "--user",
    "--proxy",
    "--retry",
)


#: Letters of options without a value, at the start of several written together.
_FLAGS = re.compile(r"-([sSkvifLgnNq#0-9]+)(?=[a-zA-Z]|$)")


class NotCurl(ValueError):
    """A command line that can't be read as one of curl."""


class _Collect(argparse.Action):
    """Keeps ``-d`` and ``--data-urlencode`` in the order given, as curl joins them."""

    def __call__(self, _parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        getattr(namespace, self.dest).append((option, values))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise NotCurl(message)


def _parser() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("address", nargs="*")
    parser.add_argument("--url", dest="url")
    parser.add_argument("-X", "--request", dest="method")
    parser.add_argument("-G", "--get", dest="get", action="store_true")
    parser.add_argument("-H", "--header", dest="headers", action="append", default=[])
    data = ("-d", "--data", "--data-ascii", "--data-raw", "--data-binary", "--data-urlencode", "--json")
    parser.add_argument(*data, dest="data", action=_Collect, default=[])
    parser.add_argument("-F", "--form", "--form-string", dest="form", action=_Collect, default=[])
    parser.add_argument(*_IGNORED_WITH_VALUE, dest="ignored", action="append")
    return parser


def read_curl(command: str) -> bytes:
    """The raw request of a command line. Files named with ``@`` are read. Raises ``NotCurl``."""
    try:
        words = shlex.split(command.replace("\\\n", " "))
    except ValueError as error:
        raise NotCurl(str(error)) from error
    if not words or Path(words[0]).name != "curl":
        raise NotCurl("it does not begin with 'curl'")
    options, _flags = _parser().parse_known_args([part for word in words[1:] for part in _apart(word)])
    address = options.url or (options.address[0] if options.address else None)
    if address is None:
        raise NotCurl("it names no address")
    try:
        return _request(options, address)
    except ValueError as error:
        raise NotCurl(str(error)) from error


def _apart(word: str) -> list[str]:
    """``-sSd`` is ``-s -S -d``; letters after one that takes a value are the value."""
    flags = _FLAGS.match(word)
    if not flags or len(word) <= 2:
        return [word]
    rest = word[flags.end() :]
    return [f"-{letter}" for letter in flags[1]] + ([f"-{rest}"] if rest else [])


def _request(options: argparse.Namespace, address: str) -> bytes:
    data = [_piece(option, value) for option, value in options.data]
    content_type, body = _body(options, data)
    parts = urlsplit(address if "://" in address else f"http://{address}")
    target = _bytes(parts.path or "/") + (b"?" + _bytes(parts.query) if parts.query else b"")
    if options.get and data:
        target += (b"&" if b"?" in target else b"?") + b"&".join(data)
        content_type, body = None, b""
    method = options.method or ("POST" if body and not options.get else "GET")
    given = {header.partition(":")[0].strip().lower() for header in options.headers}
    headers = [_bytes(header) for header in options.headers]
    headers += [] if "host" in given else [b"Host: " + _bytes(parts.netloc)]
    headers += [] if content_type is None or "content-type" in given else [b"Content-Type: " + content_type]
    return b"\r\n".join([b"%b %b HTTP/1.1" % (_bytes(method), target), *headers, b"", body])


def _body(options: argparse.Namespace, data: Sequence[bytes]) -> tuple[bytes | None, bytes]:
    if options.form:
        return b"multipart/form-data; boundary=" + BOUNDARY, _multipart(options.form)
    if any(option == "--json" for option, _ in options.data):
        return b"application/json", b"".join(data)
    return (b"application/x-www-form-urlencoded", b"&".join(data)) if data else (None, b"")


def _piece(option: str, value: str) -> bytes:
    if option == "--data-urlencode":
        return _escaped(value)
    if value.startswith("@") and option != "--data-raw":
        content = _read(value[1:])
        return content if option == "--data-binary" else content.replace(b"\r", b"").replace(b"\n", b"")
    return _bytes(value)


def _escaped(value: str) -> bytes:
    """A content, with ``name=`` before it or without; behind ``@`` or ``name@`` it is in a file."""
    name, found, content = value.partition("=" if "=" in value else "@")
    if not found:
        name, content = "", value
    escaped = quote_plus(_read(content) if found == "@" else _bytes(content))
    return _bytes(f"{name}={escaped}" if name else escaped)


def _bytes(text: str) -> bytes:
    """What the shell gave, also where it is no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _multipart(form: Sequence[tuple[str, str]]) -> bytes:
    parts = [_part(option, field) for option, field in form]
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


def _part(option: str, field: str) -> bytes:
    name, _, value = field.partition("=")
    content, filename = _bytes(value), b""
    if value[:1] in ("@", "<") and option != "--form-string":
        path = value[1:].partition(";")[0]
        content = _read(path)
        filename = _bytes(f'; filename="{path}"') if value[0] == "@" else b""
    disposition = b'Content-Disposition: form-data; name="%b"%b' % (_bytes(name), filename)
    return b"\r\n".join([b"--" + BOUNDARY, disposition, b"", content, b""])


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise NotCurl("a file that it names can't be read") from error
