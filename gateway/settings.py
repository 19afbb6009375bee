"""Settings of the process, from ``GATEWAY_…`` in the environment. Translation is set up in the mappings folder."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.core.addresses import is_base_address
from gateway.errors import ConfigurationError
from gateway.store.pictures import is_bucket
from gateway.tls import TlsVersion

_PREFIX = "GATEWAY_"
#: ``host:port``; an IPv6 address stands in brackets.
Address = str
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\],\s]+):[0-9]{1,5}")
_LAST_PORT = 65_535
#: Told by ``check`` and at the start of a deployment that gets pictures and has no public address.
NO_PUBLIC_URL = (
    "accounts can upload pictures, and GATEWAY_PUBLIC_URL does not say under which address SMSBAT fetches them:"
    " until it does, messages that show one are refused"
)


class Settings(BaseSettings):
    """What a process needs to start. Raises ``ConfigurationError`` with all that is wrong."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True)

    mappings: Path = Field(Path("mappings"), description="Folder of mapping files, accounts.yaml included.")
    database: str = Field("sqlite:///gateway.db", description="Database URL.")
    workers: int = Field(1, ge=1, le=64, description="Processes that serve beside each other.")
    listen: str = Field("127.0.0.1:8080", description="Addresses for legacy clients, with commas between.")
    tls_listen: str = Field("", description="The same under TLS.")
    tls_certificate: Path | None = Field(None, validate_default=True, description="PEM file of the certificate chain.")
    tls_key: Path | None = Field(None, description="PEM file of its key; without it the certificate's file has both.")
    tls_minimum: TlsVersion = Field("1.2", description="Oldest TLS version that clients may speak.")
    operator_listen: Address = Field("127.0.0.1:8081", description="Address for the operator.")
    public_url: str | None = Field(None, description="Base address under which the world fetches pictures.")
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

    @field_validator("database")
    @classmethod
    def _is_a_database(cls, given: str) -> str:
        from gateway.store.engine import database_url  # noqa: PLC0415 half a second that commands without one don't need

        with _told_with_the_others():
            database_url(given)
        return given

    @field_validator("listen", "tls_listen")
    @classmethod
    def _are_addresses(cls, given: str) -> str:
        for each in given.split(",") if given else ():
            _check_address(each)
        return given

    @field_validator("operator_listen")
    @classmethod
    def _is_an_address(cls, given: Address) -> Address:
        _check_address(given)
        return given

    @field_validator("tls_certificate")
    @classmethod
    def _has_what_it_needs(cls, given: Path | None, info: ValidationInfo) -> Path | None:
        # One that is wrong is not here, and not blank either.
        listen, tls_listen = (info.data.get(name) for name in ("listen", "tls_listen"))
        if tls_listen != "" and given is None:
            raise ValueError("GATEWAY_TLS_LISTEN needs GATEWAY_TLS_CERTIFICATE")
        if listen == tls_listen == "":
            raise ValueError("GATEWAY_LISTEN and GATEWAY_TLS_LISTEN are both blank")
        return given

    @field_validator("public_url")
    @classmethod
    def _is_of_the_web(cls, given: str | None) -> str | None:
        if given is not None and not is_base_address(given):
            raise ValueError("it must be an address with http:// or https://")
        return given

    @field_validator("media")
    @classmethod
    def _keeps_pictures(cls, given: str) -> str:
        with _told_with_the_others():
            is_bucket(given)
        return given

    @model_validator(mode="wrap")
    @classmethod
    def _tell_all(cls, given: Any, handler: ModelWrapValidatorHandler[Settings]) -> Settings:
        try:
            return handler(given)
        except ValidationError as error:
            # By itself it would quote what was given, secrets too.
            raise ConfigurationError("\n".join(map(_complaint, error.errors()))) from None


@contextlib.contextmanager
def _told_with_the_others() -> Iterator[None]:
    """Pydantic collects no other errors than its own and this one."""
    try:
        yield
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _check_address(given: Address) -> None:
    if not _ADDRESS.fullmatch(given):
        raise ValueError("it must be host:port, such as 127.0.0.1:9090")
    if host_and_port(given)[1] > _LAST_PORT:
        raise ValueError(f"there is no port above {_LAST_PORT}")


def _complaint(details: ErrorDetails) -> str:
    name, message = str(details["loc"][0]), details["msg"].removeprefix("Value error, ")
    named = f"--{name.replace('_', '-')} / {_PREFIX}{name.upper()}: "
    return message if message.startswith(_PREFIX) else named + message


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
