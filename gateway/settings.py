"""Settings of the process, from ``GATEWAY_…`` in the environment. Translation is set up in the mappings folder."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.tls import TlsVersion

_PREFIX = "GATEWAY_"
#: ``host:port``; an IPv6 address stands in brackets.
Address = str
_ADDRESS = r"(\[[0-9a-fA-F:.]+\]|[^:\[\],\s]+):\d{1,5}"
ADDRESS_PATTERN = rf"^{_ADDRESS}$"
#: Several, with commas between them.
ADDRESSES_PATTERN = rf"^({_ADDRESS}(,{_ADDRESS})*)?$"


#: Told by ``check`` and at the start of a deployment that gets pictures and has no public address.
NO_PUBLIC_URL = (
    "accounts can upload pictures, and GATEWAY_PUBLIC_URL does not say under which address SMSBAT fetches them:"
    " until it does, messages that show one are refused"
)


class Settings(BaseSettings):
    """What a process needs to start."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True)

    mappings: Path = Field(Path("mappings"), description="Folder of mapping files, accounts.yaml included.")
    database: str = Field("sqlite:///gateway.db", description="Database URL.")
    workers: int = Field(1, ge=1, le=64, description="Processes that serve beside each other.")
    listen: str = Field(
        "127.0.0.1:8080", pattern=ADDRESSES_PATTERN, description="Addresses for legacy clients, with commas between."
    )
    tls_listen: str = Field("", pattern=ADDRESSES_PATTERN, description="The same under TLS.")
    tls_certificate: Path | None = Field(None, description="PEM file of the certificate chain.")
    tls_key: Path | None = Field(None, description="PEM file of its key; without it the certificate's file has both.")
    tls_minimum: TlsVersion = Field("1.2", description="Oldest TLS version that clients may speak.")
    operator_listen: Address = Field("127.0.0.1:8081", pattern=ADDRESS_PATTERN, description="Address for the operator.")
    public_url: str | None = Field(
        None, pattern=r"^https?://[^\s?#]+$", description="Base address under which the world fetches pictures."
    )
    media: str = Field("media", description="Where uploaded pictures are kept: a folder, or s3://bucket/prefix.")
    media_retention_days: float = Field(
        365,
        gt=0,
        le=36_500,
        allow_inf_nan=False,
        description="Days that a picture is kept after the last message that shows it.",
    )
    retention_days: float = Field(
        180, gt=0, le=36_500, allow_inf_nan=False, description="Days that messages are kept after they were accepted."
    )
    log_format: Literal["console", "json"] = Field("console", description="How log lines look.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Settings:
        if self.tls_listen and self.tls_certificate is None:
            raise ValueError("GATEWAY_TLS_LISTEN needs GATEWAY_TLS_CERTIFICATE")
        if not self.listen and not self.tls_listen:
            raise ValueError("GATEWAY_LISTEN and GATEWAY_TLS_LISTEN are both blank")
        return self


def misspelt(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that look like settings and are none, by what they may be meant as. Mapping files may use others."""
    known = [name.upper() for name in Settings.model_fields]
    found = {}
    for name in environment:
        word = name.removeprefix(_PREFIX)
        near = difflib.get_close_matches(word, known, n=1) if word != name and word not in known else []
        if near:
            found[name] = _PREFIX + near[0]
    return found


def addresses(listed: str) -> list[Address]:
    """The addresses of a list with commas."""
    return [each for each in listed.split(",") if each]


def host_and_port(address: Address) -> tuple[str, int]:
    """The parts of an address."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
