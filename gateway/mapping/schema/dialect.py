"""A dialect file: a legacy API as its clients see it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gateway.mapping.schema.callbacks import CallbackExample, Callbacks
from gateway.mapping.schema.common import ConcernWord, Name, NameTable, OtpSection, Section, SmsFallback, ViberType
from gateway.mapping.schema.endpoint import Answer, Endpoint
from gateway.mapping.schema.parameter import Parameter

ErrorKind = Literal[
    "malformed",
    "path",
    "method",
    "size",
    "credentials",
    "authentication",
    "parameter",
    "unsupported",
    "unknown",
    "denied",
    "balance",
    "rate_limited",
    "temporary",
]


class Limits(Section):
    """Limits of the gateway's own; each is answered in the dialect."""

    body: int = Field(
        gt=0, description="Largest request body in bytes, files of their own limit aside; over it the error is `size`."
    )
    recipients: int = Field(gt=0, description="Most messages one request may ask for.")
    fields: int = Field(20_000, gt=0, description="Most fields of one request; over it the error is `size`.")


class Authentication(Section):
    """How a request proves whose it is. The scheme is code, its ingredients are named here."""

    scheme: Literal["md5", "secret-or-md5", "token"] = Field(
        description="`md5`: hex md5 over raw values in order, then the secret. `secret-or-md5`: or the secret itself."
        " `token`: the secret itself, which tells the account too."
    )
    login: str | None = Field(None, description="Parameter with the account's name in this dialect.")
    signature: str = Field(description="Parameter with the signature, or the token.")
    over: list[str] = Field(
        [], description="Parameters whose raw bytes are signed, in this order; a file stands as its hex md5."
    )

    @model_validator(mode="after")
    def _has_its_ingredients(self) -> Authentication:
        by_token = self.scheme == "token"
        if by_token == bool(self.login) or by_token == bool(self.over):
            raise ValueError("'login' and 'over' go with every scheme but 'token'")
        return self


class Charset(Section):
    """Which parameter names the charset of `text` parameters, and what it is without one."""

    parameter: str = Field(description="A `choice` parameter whose values are codec names.")
    default: str = Field(description="Codec when the parameter is not sent.")


class Errors(Section):
    """Every error that the engine can find, with what the dialect says of it (`$error.code`, `$error.text`, ...)."""

    malformed: dict[str, Any] = Field(description="Not readable as HTTP.")
    path: dict[str, Any] = Field(description="No endpoint on this path.")
    method: dict[str, Any] = Field(description="The path is known, the method is not.")
    size: dict[str, Any] = Field(description="Over the body limit.")
    credentials: dict[str, Any] = Field(description="Login or signature not sent, named by `$parameter`.")
    authentication: dict[str, Any] = Field(description="Unknown login or wrong signature: one answer for both.")
    parameter: dict[str, Any] = Field(description="A bad or missing parameter, named by `$parameter`.")
    unsupported: dict[str, Any] = Field(description="A refused parameter or call, named by `$parameter`.")
    unknown: dict[str, Any] | None = Field(None, description="Nothing that the account has is called so.")
    denied: dict[str, Any] = Field(description="SMSBAT denies the account.")
    balance: dict[str, Any] = Field(description="No money left.")
    rate_limited: dict[str, Any] = Field(description="Too fast.")
    temporary: dict[str, Any] = Field(description="Trouble here or at SMSBAT; the client may repeat.")
    named: dict[Name, dict[str, Any]] = Field({}, description="Errors of single parameters, by names of your own.")


class Outcomes(Section):
    """Which error a verdict of SMSBAT becomes when it is known before the answer."""

    invalid: ErrorKind = Field(description="Refused as it is; `$parameter` is the parameter concerned.")
    authentication: ErrorKind = Field(description="SMSBAT refuses the gateway's credentials.")
    forbidden: ErrorKind = Field(description="SMSBAT denies the account.")
    balance: ErrorKind = Field(description="SMSBAT's balance is used up.")
    rate_limited: ErrorKind = Field(description="SMSBAT's call limit.")
    temporary: ErrorKind = Field(description="No verdict, and the account says `on_timeout: refuse`.")
    concerns: dict[ConcernWord, Name] = Field(
        {}, description="Which of the errors `named` it is instead of `invalid`, by the part that SMSBAT refuses."
    )


class Parts(Section):
    """How many SMS a text takes."""

    ascii: list[int] = Field(min_length=1, description="Most characters of one part, of two, and so on.")
    unicode: list[int] = Field(min_length=1, description="The same for texts with other than ASCII characters.")
    double: str = Field("", description="Characters that count twice in an ASCII text.")


class ExampleAccount(Section):
    """The account that worked examples run under. Its secrets are published ones, so they stand in clear."""

    login: str | None = Field(None, description="Login in this dialect.")
    secrets: list[str] = Field(min_length=1, max_length=2, description="Secrets in clear.")
    viber: ViberType = Field("viber_promo", description="Viber type of its senders.")
    sms_fallback: SmsFallback | None = Field(None, description="As in an account.")
    otp: OtpSection | None = Field(None, description="As in an account.")
    pictures: dict[str, str] = Field({}, description="Ids of uploaded pictures and their public addresses.")
    names: dict[Name, NameTable] = Field({}, description="As in an account's login.")
    records: list[dict[str, Any]] = Field([], description="What is kept for it: `kind`, `number`, and its fields.")


class Example(Section):
    """A request, what it becomes, and its answer. Message ids are `MESSAGE-1`, `MESSAGE-2`, ..."""

    name: str = Field(description="What it shows.")
    request: str = Field(
        description="A raw HTTP request: request line, headers, blank line, body; `{base}` is each base."
    )
    items: list[dict[str, Any]] = Field([], description="The messagelist items that SMSBAT gets.")
    results: dict[str, Any] = Field({}, description="What the operation finds or makes, in its own words.")
    status: int = Field(200, description="HTTP status of the answer.")
    answer: str = Field(description="The answer's body, to the byte.")


class DialectFile(Section):
    """A legacy API as its clients see it."""

    kind: Literal["dialect"]
    dialect: Name = Field(description="Short name; accounts refer to it.")
    title: str = Field(description="Name for people.")
    at: list[Annotated[str, Field(pattern=r"^[a-z0-9.-]*/\S*$")]] = Field(
        min_length=1,
        description="Where it answers: `/path` under any host name, `host/path` under that one, both with all below."
        " The most exact place of all dialects counts, a host name before a longer path.",
    )
    bases: dict[Name, Annotated[str, Field(pattern=r"^/\S*[^/]$")]] = Field(
        {}, description="Paths that stand before every endpoint; which one it was, answers know as `$base`."
    )
    paths: Literal["exact", "lenient"] = Field(
        "exact", description="`lenient`: upper and lower case are equal, doubled and final slashes are not seen."
    )
    logins: Name | None = Field(None, description="The dialect whose logins it uses; without it, it has its own.")
    limits: Limits
    charset: Charset | None = Field(None, description="Without it every text is UTF-8.")
    authentication: Authentication
    zone: str = Field("UTC", description="Time zone of its clocks; an account's login may have its own.")
    numbered: bool = Field(False, description="Messages have integers for ids, which count up for each account.")
    names: list[Name] = Field([], description="Tables of names and their ids that every account's login has.")
    figures: dict[Name, str | int] = Field(
        {}, description="Figures that are configured for each account's login, and what they are without."
    )
    parts: Parts | None = Field(None, description="Its table of how many SMS a text takes.")
    sms_fallback: Literal["by-account", "by-request"] = Field(
        "by-account",
        description="Who says whether an SMS replaces an undelivered Viber message: the account's `sms_fallback`, or"
        " only the `fallback_sender` of the message.",
    )
    json_style: Literal["spaced", "php"] = Field(
        "spaced", description="Blanks behind colons and commas; or as PHP writes it, `/` escaped."
    )
    checks: Literal["in-order", "required-first"] = Field(
        "in-order", description="Whether a parameter that is always required is missed before the others are looked at."
    )
    documented: list[str] | dict[str, list[str]] = Field(
        description="Every parameter the vendor documents or its clients send; by path where endpoints have their own."
    )
    parameters: dict[str, Parameter]
    endpoints: list[Endpoint] = Field(min_length=1)
    errors: Errors
    outcomes: Outcomes | None = Field(None, description="Needed where messages are sent.")
    error_answers: list[Answer] = Field(min_length=1, description="How an error looks.")
    callbacks: Callbacks | None = Field(None, description="Without it partners are told nothing.")
    example_account: ExampleAccount
    callback_examples: list[CallbackExample] = Field([], description="What SMSBAT tells, and what becomes of it.")
    examples: list[Example] = Field(min_length=1)

    @model_validator(mode="after")
    def _says_what_verdicts_mean(self) -> DialectFile:
        if self.outcomes is None and any(endpoint.message or endpoint.mailing for endpoint in self.endpoints):
            raise ValueError("a dialect in which something is sent needs 'outcomes'")
        return self
