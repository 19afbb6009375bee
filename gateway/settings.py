"""Settings of the process, from ``GATEWAY_…`` in the environment. Translation is set up in the mappings folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

#: ``host:port``; an IPv6 address stands in brackets.
Address = str
ADDRESS_PATTERN = r"^(\[[0-9a-fA-F:.]+\]|[^:\[\]]+):\d{1,5}$"


class Settings(BaseSettings):
    """What a process needs to start."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", extra="ignore", frozen=True)

    mappings: Path = Field(Path("mappings"), description="Folder of mapping files, accounts.yaml included.")
    database: str = Field("sqlite:///gateway.db", description="Database URL.")
    listen: Address = Field("127.0.0.1:8080", pattern=ADDRESS_PATTERN, description="Address for legacy clients.")
    operator_listen: Address = Field("127.0.0.1:8081", pattern=ADDRESS_PATTERN, description="Address for the operator.")
    log_format: Literal["console", "json"] = Field("console", description="How log lines look.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")


def host_and_port(address: Address) -> tuple[str, int]:
    """The parts of an address."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
