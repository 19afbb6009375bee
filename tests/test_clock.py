"""The wall clock is set while messages wait: nothing is lost or doubled, and no time gets longer."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.servers import RunningSandbox, eventually, free_address, running_gateway, running_sandbox
from tests.test_verdicts import send

HOUR = 3600
#: Of one that says nothing, and the least that the dialect allows.
LONG, SHORT = 86_400, 60
#: SMSBAT is told the time of these.
VIBER = {"sending_method": "viber"}


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_the_clock_is_set_while_messages_wait(jump: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(time_ns=time.time_ns)
    monkeypatch.setattr("gateway.clock.time", clock)
    smsbat = free_address()
    with running_gateway(tmp_path, f"http://{smsbat}", wait=0.1) as address:
        assert send(address, "380500000501", **VIBER).code == 0
        assert send(address, "380500000502", dlr_timeout=SHORT, **VIBER).code == 0
        clock.time_ns = lambda: time.time_ns() + jump * 1_000_000_000
        assert send(address, "380500000503", **VIBER).code == 0
        with running_sandbox(smsbat) as sandbox:
            assert eventually(lambda: send(address, "380500000504", **VIBER).code == 0)
            # An hour later the time of the second one is over.
            wanted = {"380500000501": LONG, "380500000503": LONG, "380500000504": LONG}
            wanted |= {"380500000502": SHORT} if jump < 0 else {}
            eventually(lambda: set(_times(sandbox)) >= set(wanted))
            times = _times(sandbox)
            assert set(times) == set(wanted)
            assert all(0 < times[phone] <= most for phone, most in wanted.items())
            assert times["380500000501"] >= LONG - HOUR - SHORT
            assert sandbox.summary()["doubles"] == 0


def _times(sandbox: RunningSandbox) -> dict[str, int]:
    """The seconds that SMSBAT was given for each message."""
    return {each["to"]: each["ttl"] for each in sandbox.received}
