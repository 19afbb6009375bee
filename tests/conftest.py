"""A sandbox SMSBAT and a gateway in front of it, shared by the tests that only pass messages through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine

from gateway.logs import configure_logging
from gateway.settings import Address
from gateway.store import migrations
from gateway.store.engine import open_engine
from tests.support.postgres import new_database, stop_server
from tests.support.raw import Response, exchange
from tests.support.servers import RunningSandbox, eventually, running_gateway, running_sandbox

configure_logging("json", "error")
# How long an example takes says more of the machine than of the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_sessionfinish() -> None:
    stop_server()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    return new_database() if request.param == "postgresql" else f"sqlite:///{tmp_path / 'data' / 'gateway.db'}"


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_engine(database)
    migrations.migrate(engine)
    yield engine
    engine.dispose()


@dataclass(frozen=True)
class Setup:
    """A running gateway and the sandbox behind it."""

    address: Address
    sandbox: RunningSandbox
    database: Path

    def exchange(self, raw: bytes) -> Response:
        return exchange(self.address, raw)

    def received(self, phone: str) -> dict[str, Any]:
        """The one message that SMSBAT got for a number."""
        found = eventually(lambda: [each for each in self.sandbox.received if each["to"] == phone])
        assert len(found) == 1
        return found[0]


@pytest.fixture(scope="session")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with running_sandbox(limited=False) as sandbox:
        folder = tmp_path_factory.mktemp("gateway")
        with running_gateway(folder, sandbox.url, smsby={}) as address:
            yield Setup(address, sandbox, folder / "gateway.db")
