"""Connections to SMSBAT whose other end is gone without a word."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from gateway.listener import bind
from gateway.settings import host_and_port
from tests.support.relay import Relay, listening_relay
from tests.support.servers import ANY_PORT, bound_name, eventually, running, running_gateway, running_sandbox
from tests.test_verdicts import send


def test_a_kept_connection_goes_silent(tmp_path: Path) -> None:
    """A firewall forgot it while it was idle: what is written there is lost, and goes out again on another one."""
    with running_sandbox() as sandbox:
        place, bound = host_and_port(sandbox.address), bind(ANY_PORT)
        relay = Relay(lambda: asyncio.open_connection(*place))
        url = "http://{}:{}".format(*bound_name(bound))
        with running(lambda: listening_relay(relay, bound)):
            with running_gateway(tmp_path, url, {"timeout": 0.3}, wait=0.1) as address:
                assert send(address, "380500000401").code == 0
                eventually(lambda: len(sandbox.received) == 1)
                relay.silence()
                assert send(address, "380500000402").code == 0
                eventually(lambda: len(sandbox.received) == 2)
                assert [each["to"] for each in sandbox.received] == ["380500000401", "380500000402"]


def test_nobody_is_behind_the_connection(tmp_path: Path) -> None:
    """It may be out: the client is not refused, and the message goes out when SMSBAT is there again, once."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        smsbat = "{}:{}".format(*deaf.getsockname())
        with running_gateway(tmp_path, f"http://{smsbat}", {"timeout": 0.3}, wait=1.0, on_timeout="refuse") as address:
            assert send(address, "380500000403").code == 0
            connection, _ = deaf.accept()
            connection.close()
            deaf.close()
            with running_sandbox(smsbat) as sandbox:
                eventually(lambda: [each["to"] for each in sandbox.received] == ["380500000403"])
                assert send(address, "380500000404").code == 0
                eventually(lambda: len(sandbox.received) == 2)
                assert sandbox.summary()["doubles"] == 0
