"""The ``demo`` command: a gateway, a sandbox SMSBAT behind it, and a running commentary."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from gateway.app import Doors, Reloading, gateway
from gateway.inbound.hooks import HOOK_PATH
from gateway.inbound.telling import log_exchange
from gateway.listener import bind
from gateway.logs import configure_logging
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange
from gateway.mapping.loader import Plan, accounts_in, files_in, load
from gateway.process import run_until_stopped
from gateway.sandbox.server import serving
from gateway.sandbox.smsbat import Sandbox, SandboxOptions
from gateway.settings import Settings
from gateway.switch import files_of

#: More messages of a request than this are only hinted at.
SHOWN_MESSAGES = 3
#: The vendor's own example, so its signature can be looked up in the vendor's documentation.
EXAMPLE = "user=onvUser&from=Sender&phone=79041231231&txt=hello&sign=ac748f3290de34c2bd7aec56f3100e29"


def run_demo(mappings: Path, database: str, media: str, port: int, operator_port: int, sandbox_port: int) -> None:
    """Serve until Ctrl-C. Raises ``ConfigurationError`` when it can't start."""
    configure_logging("console", "warning")
    own_accounts = accounts_in(mappings)
    files = [*(each for each in files_in(mappings) if each not in own_accounts), mappings / "demo" / "accounts.yaml"]

    def loaded() -> Plan:
        return _towards(load(files), sandbox_port)

    reloading = Reloading(loaded, files_of(mappings))
    plan = loaded()
    commentary = Commentary()
    hook = f"http://127.0.0.1:{port}{HOOK_PATH}{next(iter(plan.accounts.hooks))}"
    sandbox = Sandbox(SandboxOptions(hook=hook), commentary.smsbat_got, commentary.partner_told)
    legacy, operator, smsbat = (f"127.0.0.1:{each}" for each in (port, operator_port, sandbox_port))
    settings = Settings(
        mappings=mappings,
        database=database,
        media=media,
        listen=legacy,
        operator_listen=operator,
        public_url=f"http://{legacy}",
    )
    doors, bound = Doors.of(settings), bind(smsbat)

    async def program(stop: asyncio.Event) -> None:
        async with serving(sandbox, bound), gateway(plan, settings, doors, commentary.answered, reloading):
            commentary.welcome(port, operator_port, sandbox_port)
            await stop.wait()
            commentary.bye()

    run_until_stopped(program)


def _towards(plan: Plan, sandbox_port: int) -> Plan:
    """The same plan with the sandbox on another port."""
    logins = {
        name: dataclasses.replace(
            login, settings=login.settings.model_copy(update={"url": f"http://127.0.0.1:{sandbox_port}"})
        )
        for name, login in plan.accounts.smsbat.items()
    }
    targets = {
        key: dataclasses.replace(target, url=f"http://127.0.0.1:{sandbox_port}/partner/ok")
        for key, target in plan.accounts.targets.items()
    }
    return dataclasses.replace(plan, accounts=dataclasses.replace(plan.accounts, smsbat=logins, targets=targets))


class Commentary:
    """A line for what came in, what SMSBAT got and what went back."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, emoji=False)
        self._got: dict[str, Mapping[str, Any]] = {}
        self._unsent: set[str] = set()

    def welcome(self, port: int, operator_port: int, sandbox_port: int) -> None:
        """What there is and what to paste."""
        self._console.print(
            f"The gateway answers Messagio clients on http://127.0.0.1:{port}/, the sandbox SMSBAT is on"
            f" http://127.0.0.1:{sandbox_port},\nfigures for Prometheus on http://127.0.0.1:{operator_port}/metrics."
            "\nPaste this into another terminal (Ctrl-C here stops everything):\n"
        )
        self._console.print(f"  curl -d '{EXAMPLE}' http://127.0.0.1:{port}/\n", style="bold", soft_wrap=True)
        self._console.print(f"What SMSBAT was sent: curl http://127.0.0.1:{sandbox_port}/sandbox/messages\n")

    def smsbat_got(self, items: list[dict[str, Any]]) -> None:
        """Called by the sandbox for each call that it takes; shown in its place when the request is answered."""
        for item in items:
            if item["customerMessageId"] in self._unsent:
                self._line("  SMSBAT got ", orjson.dumps(item).decode() + "  (later)", "cyan")
            else:
                self._got[item["customerMessageId"]] = item

    def answered(self, exchange: Exchange, answer: Answer) -> None:
        """Called by the gateway for each request that it answered."""
        # For its figures: the line of the log is below the demo's level.
        log_exchange(exchange, answer)
        self._line("came in      ", _summary(exchange), "bold")
        for message in exchange.messages[:SHOWN_MESSAGES]:
            item = self._got.pop(message.id, None)
            shown = orjson.dumps(item).decode() if item else "nothing yet"
            self._line("  SMSBAT got ", shown, "cyan")
            if item is None:
                self._unsent.add(message.id)
        said = str(exchange.refusal) if exchange.refusal else "accepted"
        words = f"{_on_one_line(answer)}  ({said}, {exchange.seconds * 1000:.1f} ms)"
        self._line("  went back  ", words, "red" if exchange.refusal else "green")

    def partner_told(self, record: Mapping[str, Any]) -> None:
        """Called by the sandbox for each callback to the demo's script."""
        self._line("  the script got ", f"{record['method']} {record['told']}", "magenta")

    def bye(self) -> None:
        """The last line."""
        self._console.print("Stopping.")

    def _line(self, label: str, text: str, style: str) -> None:
        self._console.print(Text.assemble((label, "dim"), (text, style)), soft_wrap=True)


def _summary(exchange: Exchange) -> str:
    account = exchange.identity.account.name if exchange.identity else "nobody"
    if not exchange.messages:
        files = exchange.fields.files.values() if exchange.fields else ()
        what = ", ".join(f"a file of {file.size} bytes" for file in files) or "no message"
        return f"{exchange.dialect.name}, account {account}: {what}"
    recipients = [message.recipient for message in exchange.messages]
    shown = ", ".join(recipients[:SHOWN_MESSAGES]) + (" …" if len(recipients) > SHOWN_MESSAGES else "")
    return f"{exchange.dialect.name}, account {account}: {exchange.messages[0].channel} to {shown}"


def _on_one_line(answer: Answer) -> str:
    return " ".join(answer.body.decode("utf-8", "replace").split())[:200]
