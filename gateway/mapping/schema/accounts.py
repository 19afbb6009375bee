"""The accounts file: the deployment's own."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.core.addresses import is_base_address
from gateway.mapping.schema.callbacks import CallbackSection
from gateway.mapping.schema.common import YEAR, Name, NameTable, OtpSection, Section, SmsFallback, ViberType

#: Of anything a second, and at once.
_LEAST_RATE, _MOST = 0.001, 1_000_000


class Login(Section):
    """An account's identity in one dialect."""

    login: str | None = Field(
        None, min_length=1, description="Its name there; none where the secret tells whose it is."
    )
    secrets: list[str] = Field(
        min_length=1, max_length=2, description="`${ENV_NAME}` or `file:/path`; two while one replaces the other."
    )
    hosts: list[Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]] = Field(
        [], description="More host names under which the dialect answers: the same API under another brand."
    )
    names: dict[Name, NameTable] = Field({}, description="The dialect's tables of names, by their ids.")
    figures: dict[Name, str | int] = Field({}, description="Figures of the dialect that are another for this account.")
    zone: str | None = Field(None, description="Time zone of its clocks; the dialect's without it.")
    callback: CallbackSection | None = Field(None, description="Where its script is told of reports and replies.")
    private_callbacks: bool = Field(False, description="Addresses that requests name may be in a private network.")
    json_values: Literal["plain", "percent-encoded"] = Field(
        "plain", description="`percent-encoded`: values inside JSON bodies are decoded after the signature check."
    )


class Credential(Section):
    """One SMSBAT login: address, authentication and call limits."""

    url: str = Field(description="Base address, given by SMSBAT's manager; no login in it.")
    key: str | None = Field(None, description="API key, as a secret reference.")
    key_in: Literal["header", "password"] = Field(
        "header", description="Key in `X-Authorization-Key`, or as the password of Basic login `@`."
    )
    login: str | None = Field(None, description="Basic login.")
    password: str | None = Field(None, description="Basic password, as a secret reference.")
    variant: Literal["guide-001", "help-004"] = Field("guide-001", description="Which of SMSBAT's two forms is sent.")
    calls_per_second: float = Field(100, ge=_LEAST_RATE, le=_MOST, description="Sending calls a second.")
    burst: int = Field(150, gt=0, le=_MOST, description="Sending calls at once.")
    reads_per_second: float = Field(50, ge=_LEAST_RATE, le=_MOST, description="Status reads a second.")
    calls_in_flight: int = Field(16, gt=0, le=100, description="Sending calls without an answer yet.")
    messages_per_call: int = Field(1000, gt=0, le=5000, description="Most messages in one call.")
    timeout: float = Field(
        30, gt=0, le=600, description="Seconds in which an answer must be there, a connection aside."
    )

    @field_validator("url")
    @classmethod
    def _is_the_address_alone(cls, url: str) -> str:
        if not is_base_address(url) or "@" in urlsplit(url).netloc:
            raise ValueError("must be an http or https address, with no login and no query in it")
        return url

    @model_validator(mode="after")
    def _one_way_in(self) -> Credential:
        by_login = self.login is not None and self.password is not None
        if by_login == (self.key is not None) or (self.login is None) != (self.password is None):
            raise ValueError("give either 'key', or 'login' and 'password'")
        return self


class Sender(Section):
    """Settings of one sender name."""

    viber: ViberType = Field(description="SMSBAT type of its text-only Viber messages.")


class RateSection(Section):
    """How fast an account may send; faster requests are answered with `rate_limited`."""

    per_second: float = Field(ge=_LEAST_RATE, le=_MOST, description="Messages a second.")
    burst: int = Field(
        10, gt=0, le=_MOST, description="Messages at once. A single request with more passes, and is worked off."
    )


class AccountSection(Section):
    """One customer."""

    smsbat: str = Field(description="Name of the credential its messages go out under.")
    logins: dict[str, Login] = Field(min_length=1, description="Its identity in each dialect, by dialect name.")
    viber: ViberType = Field("viber_promo", description="SMSBAT type of text-only Viber messages.")
    senders: dict[str, Sender] = Field({}, description="Sender names that differ; others are passed on as they are.")
    sms_fallback: SmsFallback | None = Field(None, description="Viber messages that fail are replaced by an SMS.")
    otp: OtpSection | None = Field(None, description="Its Viber texts that are one-time passwords.")
    rate: RateSection | None = Field(None, description="How fast it may send; without it there is no limit.")
    repeats: int | None = Field(
        None,
        gt=0,
        le=YEAR,
        description="Seconds in which a request with the same reference and phone is the same message, not another.",
    )
    hook: str | None = Field(
        None,
        description="The unguessable end of the address where SMSBAT tells of its messages, as a secret reference.",
    )
    hook_from: list[str] = Field([], description="Network addresses that SMSBAT may call from; without them any.")
    wait: float = Field(5, ge=0, le=60, description="Seconds that a request waits for SMSBAT's verdict.")
    on_timeout: Literal["accept", "refuse"] = Field(
        "accept", description="No verdict in time: success, since it is on disk; or temporary error, and withdrawn."
    )


class AccountsFile(Section):
    """The deployment's own file: who may send, and through which SMSBAT login."""

    kind: Literal["accounts"]
    demo: bool = Field(False, description="Secrets may stand in clear. Never in production.")
    smsbat: dict[str, Credential] = Field(min_length=1, description="SMSBAT logins by name.")
    accounts: dict[str, AccountSection] = Field(min_length=1)
