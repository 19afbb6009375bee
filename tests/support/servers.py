"""Real servers in threads of the test process: the sandbox SMSBAT and a whole gateway."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from gateway.app import Doors, gateway
from gateway.errors import ConfigurationError
from gateway.listener import bind
from gateway.mapping.loader import Plan, load
from gateway.sandbox.server import serving
from gateway.sandbox.smsbat import Sandbox, SandboxOptions
from gateway.settings import Address, Settings

MAPPINGS = Path(__file__).parents[2] / "mappings"
ANY_PORT = "127.0.0.1:0"
SHIPPED = ("messagio.yaml", "messagio-media.yaml", "smsbat-compat.yaml", "smsbat.yaml")
Result = TypeVar("Result")


def eventually(condition: Callable[[], Result], seconds: float = 60.0) -> Result:
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return result


class Background:
    """An event loop in a thread, on which asynchronous servers run."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result], seconds: float = 60.0) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextlib.contextmanager
def running(make: Callable[[], contextlib.AbstractAsyncContextManager[Result]]) -> Iterator[Result]:
    """Run an asynchronous server in the background while the block runs."""
    background = Background()
    stack = contextlib.AsyncExitStack()

    async def enter() -> Result:
        return await stack.enter_async_context(make())

    try:
        yield background.run(enter())
    finally:
        background.run(stack.aclose())
        background.close()


class RunningSandbox:
    """A sandbox with its address."""

    def __init__(self, sandbox: Sandbox, address: Address) -> None:
        self.sandbox = sandbox
        self.address = address

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def options(self) -> SandboxOptions:
        return self.sandbox.options

    @property
    def received(self) -> list[dict[str, Any]]:
        return self.sandbox.ledger.messages()

    @property
    def told(self) -> list[dict[str, Any]]:
        """What partners' scripts were told."""
        return self.sandbox.partner.told

    @property
    def reads(self) -> list[float]:
        """When statuses were read."""
        return list(self.sandbox.ledger.reads)

    def tell_hook(self, gateway: Address, secret: str) -> None:
        """From now on, tell this gateway of every message."""
        self.sandbox.teller.hook = f"http://{gateway}/hooks/{secret}"

    def summary(self) -> dict[str, int]:
        return self.sandbox.ledger.summary()


@contextlib.contextmanager
def running_sandbox(address: Address = ANY_PORT, **options: Any) -> Iterator[RunningSandbox]:
    """A sandbox on a port of its own, or on a given one."""
    sandbox = Sandbox(SandboxOptions(**options))
    bound = bind(address)
    with running(lambda: serving(sandbox, bound)):
        host, port = bound_name(bound)
        yield RunningSandbox(sandbox, f"{host}:{port}")


def bound_name(bound: Any) -> tuple[str, int]:
    host, port = bound.getsockname()[:2]
    return host, port


#: Where ports are given out: below those that the system gives to connections, so that between being found free and
#: being used nobody else takes one. So many belong to one process that runs tests, the ledger or the benchmarks.
_PORTS, _OWN_PORTS = range(12_000, 32_000), 1_000


@functools.cache
def _own_ports() -> tuple[socket.socket, Iterator[int]]:
    """The ports of this process for ever, and what shows that they are taken: one that listens at the first."""
    for first in _PORTS[::_OWN_PORTS]:
        with contextlib.suppress(ConfigurationError):
            return bind(f"127.0.0.1:{first}"), itertools.cycle(range(first + 1, first + _OWN_PORTS))
    raise AssertionError("too many test runs at once")


def free_address() -> Address:
    """An address where nobody listens."""
    for port in _own_ports()[1]:
        with contextlib.suppress(ConfigurationError):
            bind(f"127.0.0.1:{port}").close()
            return f"127.0.0.1:{port}"
    raise AssertionError("ports never end")


#: The users of the captured requests. Two clients use one name with different secrets: the account has both.
LOGINS = {
    "demo": ("onvUser", ["4Ab2ln4FEa32"]),
    "radio": ("hitfm", ["test_key"]),
    "shop": ("user", ["secretKey", "token"]),
    "viber": ("login", ["secret_key", "5eCrET"]),
}

#: The tokens of the captured sms.by requests, by the same accounts.
TOKENS = {"demo": "TESTTOKEN", "radio": "YOUR-TOKEN-HERE", "shop": "PAST YOUR API KEY HERE"}
#: What an sms.by login needs besides its token.
SMSBY = {
    "names": {
        "alphanames": {0: {"name": "SMSBY", "title": "System name (SMS.by)"}, 123: "Shop", 1363: "VasheImya"},
        "vibernames": {444: "MyViber"},
        "alphaname_categories": {2: "Торговля"},
    },
    "figures": {"balance": "2.86600", "limit": 141, "cost": "0.04900 EUR"},
    "private_callbacks": True,
}


def accounts(
    url: str,
    smsbat: dict[str, Any] | None = None,
    reports: dict[str, Any] | None = None,
    smsby: dict[str, Any] | None = None,
    **account: Any,
) -> dict[str, Any]:
    """An accounts file as data; ``account`` is set in every account, ``smsbat`` in the credential.

    ``reports`` has the ``callback`` of the demo's login, and the ``hook`` of its account. There are sms.by logins if
    ``smsby`` is there, which is set in the demo's.
    """
    content = _accounts(url, smsbat, account)
    demo = content["accounts"]["demo"]
    if smsby is not None:
        for name, token in TOKENS.items():
            content["accounts"][name]["logins"]["smsby"] = {"secrets": [token], **SMSBY}
        demo["logins"]["smsby"].update(smsby)
    if reports:
        if "callback" in reports:
            demo["logins"]["messagio"]["callback"] = reports["callback"]
        demo.update({name: value for name, value in reports.items() if name != "callback"})
    return content


def _accounts(url: str, smsbat: dict[str, Any] | None, account: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "accounts",
        "demo": True,
        "smsbat": {"main": {"url": url, "key": "sandbox-key", **(smsbat or {})}},
        "accounts": {
            name: {
                "smsbat": "main",
                "logins": {each: {"login": login, "secrets": secrets} for each in ("messagio", "smsbat-compat")},
                **account,
            }
            for name, (login, secrets) in LOGINS.items()
        },
    }


def write_mappings(folder: Path, content: dict[str, Any]) -> Path:
    """A mappings folder with these accounts, and the shipped dialects that they log in to. JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    with_smsby = any("smsby" in account["logins"] for account in content["accounts"].values())
    for name in (*SHIPPED, "smsby.yaml") if with_smsby else SHIPPED:
        (folder / name).write_text((MAPPINGS / name).read_text())
    (folder / "accounts.yaml").write_text(json.dumps(content))
    return folder


def plan_for(folder: Path, url: str, smsbat: dict[str, Any] | None = None, **account: Any) -> Plan:
    """A plan of the shipped dialects in front of an SMSBAT address."""
    return load([write_mappings(folder, accounts(url, smsbat, **account))])


@contextlib.contextmanager
def running_gateway(
    folder: Path,
    url: str,
    smsbat: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    **account: Any,
) -> Iterator[Address]:
    """A whole gateway, with its database and pictures in ``folder``; yields the address for legacy clients."""
    plan = plan_for(folder / "mappings", url, smsbat, **account)
    doors = Doors([bind(ANY_PORT)], bind(ANY_PORT))
    address = "{}:{}".format(*bound_name(doors.plain[0]))
    places = {"database": f"sqlite:///{folder / 'gateway.db'}", "media": str(folder / "media")}
    chosen = Settings(**{**places, "public_url": f"http://{address}", **(settings or {})})
    with running(lambda: gateway(plan, chosen, doors)):
        yield address
