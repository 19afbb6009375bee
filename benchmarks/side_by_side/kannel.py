"""Kannel as an HTTP relay: bearerbox and smsbox, and SMSBAT's stand-in as its generic HTTP centre."""

from __future__ import annotations

from pathlib import Path

from benchmarks.side_by_side.machine import program
from benchmarks.side_by_side.processes import Command, answer_to
from benchmarks.side_by_side.requests import KANNEL_USER
from benchmarks.side_by_side.standin import KANNEL
from tests.support.servers import free_address

#: The limits on what is under way are above any number of clients here; logging is for errors alone.
_CONFIGURATION = """\
group = core
admin-port = {admin}
admin-password = bench
smsbox-port = {box}
box-allow-ip = 127.0.0.1
log-level = 3
log-file = {folder}/bearerbox.log
smsbox-max-pending = 1000
{store}

group = smsc
smsc = http
smsc-id = smsbat
system-type = generic
port = {incoming}
connect-allow-ip = 127.0.0.1
max-pending-submits = 512
send-url = "{upstream}{path}?to=%p&from=%P&text=%b"
status-success-regex = 200

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {box}
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
max-pending-requests = 1000
log-level = 3
log-file = {folder}/smsbox.log

group = sendsms-user
username = {username}
password = {password}
max-messages = 10
concatenation = true
"""
_SPOOL = "store-type = spool\nstore-location = {spool}"


def commands(folder: Path, sendsms: int, upstream: str, spool: bool) -> list[Command]:
    """Write the configuration into a folder; returns the commands: smsbox gives up when bearerbox is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spool").mkdir(exist_ok=True)
    username, password = KANNEL_USER
    admin, box, incoming = (free_address().rpartition(":")[2] for _ in range(3))
    written = _CONFIGURATION.format(
        admin=admin,
        box=box,
        incoming=incoming,
        sendsms=sendsms,
        folder=folder,
        upstream=upstream,
        path=KANNEL,
        username=username,
        password=password,
        store=_SPOOL.format(spool=folder / "spool") if spool else "",
    )
    (folder / "kannel.conf").write_text(written)
    bearerbox, smsbox = ([program(name), "-v", "4", str(folder / "kannel.conf")] for name in ("bearerbox", "smsbox"))
    status = b"GET /status.txt?password=bench HTTP/1.1\r\nHost: kannel\r\nConnection: close\r\n\r\n"

    def has_smsbox() -> bool:
        """Asked before it has found bearerbox, smsbox ends."""
        return b"smsbox" in answer_to(f"127.0.0.1:{admin}", status)

    return [Command(bearerbox, f"127.0.0.1:{box}"), Command(smsbox, is_ready=has_smsbox)]
