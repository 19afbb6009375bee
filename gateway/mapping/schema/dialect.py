"""A dialect file: a legacy API as its clients see it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gateway.mapping.schema.callbacks import CallbackExample, Callbacks
from gateway.mapping.schema.common import Guard, Name, OtpSection, Section, SmsFallback, Tree, ViberType

ErrorKind = Literal[
    "malformed",
    "path",
    "method",
    "size",
    "credentials",
    "authentication",
    "parameter",
    "unsupported",
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


class Authentication(Section):
    """How a request proves whose it is. The scheme is code, its ingredients are named here."""

    scheme: Literal["md5", "secret-or-md5"] = Field(
        description="`md5`: hex md5 over raw values in order, then the secret. `secret-or-md5`: or the secret itself."
    )
    login: str = Field(description="Parameter with the account's name in this dialect.")
    signature: str = Field(description="Parameter with the signature.")
    over: list[str] = Field(
        min_length=1, description="Parameters whose raw bytes are signed, in this order; a file stands as its hex md5."
    )


class Charset(Section):
    """Which parameter names the charset of `text` parameters, and what it is without one."""

    parameter: str = Field(description="A `choice` parameter whose values are codec names.")
    default: str = Field(description="Codec when the parameter is not sent.")


class MaxWhen(Section):
    """A narrower length limit under a guard."""

    when: Guard = Field(description="When this limit holds.")
    max: int = Field(gt=0, description="Characters.")


class Parameter(Section):
    """One documented parameter. Parameters are checked in the order of the file; the first failure is answered."""

    type: Literal["any", "string", "text", "integer", "digits", "choice", "media", "file"] = Field(
        "any",
        description="`string` is UTF-8, `text` is in the request's charset, `digits` ASCII digits only,"
        " `choice` one of `values`, `media` the id of a picture that the account uploaded, `file` an uploaded picture;"
        " `any` is not looked at.",
    )
    required: bool | list[Guard] = Field(False, description="Always, or when any of these guards holds.")
    many: bool = Field(False, description="Repeated parameter: always a list.")
    default: Any = Field(None, description="Value when not sent.")
    values: list[str] | dict[str, Any] | None = Field(
        None, description="For `choice`: the words allowed, or what each word stands for."
    )
    ignore_case: bool = Field(False, description="For `choice`: upper and lower case are equal.")
    newlines: Literal["normalize"] | None = Field(None, description="Every newline form becomes one LF.")
    max: int | None = Field(None, description="Most characters of a text, bytes of a file, or the largest integer.")
    max_when: list[MaxWhen] = Field([], description="Narrower length limits; the first whose guard holds.")
    min: int | None = Field(None, description="Smallest value of an integer.")
    floor: int | None = Field(None, gt=0, description="Round an integer down to a multiple of this.")
    formats: list[Literal["jpg", "png", "gif"]] | None = Field(
        None, description="For `file`: the formats taken, told by magic bytes; others are answered with `unsupported`."
    )
    only: Guard | None = Field(None, description="Without this the parameter counts as not sent.")
    otherwise: str | None = Field(None, description="Why it counts as not sent outside `only`.")
    refused: str | None = Field(None, description="Why this parameter is answered with `unsupported`.")
    accepted: list[Any] = Field([], description="Values that `refused` does not refuse.")
    ignored: str | None = Field(None, description="Why this parameter has no effect.")

    @model_validator(mode="after")
    def _belongs_together(self) -> Parameter:
        if (self.type == "choice") != (self.values is not None):
            raise ValueError("'values' goes with 'type: choice'")
        is_file = self.type == "file"
        if is_file != (self.formats is not None) or (is_file and (not self.max or self.many)):
            raise ValueError("'formats' goes with 'type: file', which has a 'max' and is never 'many'")
        if self.only is not None and not self.otherwise:
            raise ValueError("'only' needs 'otherwise': the reason why it counts as not sent")
        if self.refused and self.ignored:
            raise ValueError("a parameter is refused or ignored, not both")
        return self


class Answer(Section):
    """One answer; the first of a list whose guard holds is given."""

    when: Guard | None = Field(None, description="When this answer is given.")
    status: int = Field(200, ge=200, le=599, description="HTTP status.")
    content_type: str | None = Field(
        None, pattern=r"^[ -~]+$", description="Content-Type header; `text/xml` or `application/json` without it."
    )
    declaration: str | None = Field(None, description="First line of an XML answer.")
    xml: Tree = Field(None, description="An XML document in xmltodict's convention: `@name` attribute, `#text` text.")
    json_: Tree = Field(None, alias="json", description="A JSON document.")

    @model_validator(mode="after")
    def _has_one_body(self) -> Answer:
        if (self.xml is None) == (self.json_ is None):
            raise ValueError("an answer has either 'xml' or 'json'")
        if self.declaration is not None and self.xml is None:
            raise ValueError("'declaration' goes with 'xml'")
        return self


class MessageBinding(Section):
    """Where each part of a neutral message comes from."""

    channel: Tree = Field(description="`sms` or `viber`.")
    sender: Tree = Field(description="Sender name.")
    recipient: Tree = Field(description="One number or a list; one message for each.")
    text: Tree = Field(description="What is sent.")
    ttl: Tree = Field(description="Seconds that the message has.")
    reference: Tree = Field(None, description="The partner's own id, returned in reports.")
    report: Tree = Field(False, description="Whether the partner wants reports.")
    delay: Tree = Field(0, description="Minutes that the gateway holds it before it is sent.")
    image: Tree = Field(None, description="Public address of a picture.")
    button_text: Tree = Field(None, description="Caption of a Viber button.")
    button_link: Tree = Field(None, description="Where the button leads.")
    fallback_text: Tree = Field(None, description="Text of the SMS that replaces an undelivered Viber message.")
    otp: Tree = Field(
        None,
        description="A one-time password: `template`, `language`, `parameters`; absent unless the request says so.",
    )


class Endpoint(Section):
    """Requests that are handled alike: an operation, or a refusal by name."""

    on: list[str] = Field(min_length=1, description="`METHOD /path`; `ANY` for every method, a final `*` for a prefix.")
    hosts: list[str] = Field([], description="Only under these host names.")
    when: Guard | None = Field(None, description="Only when these raw parameters match.")
    operation: Literal["send", "upload"] | None = Field(None, description="What is done, in neutral words.")
    refuse: str | None = Field(None, description="Answer `unsupported` with this name, before any other check.")
    message: MessageBinding | None = Field(None, description="The message that `send` sends.")
    picture: Tree = Field(None, description="The file that `upload` keeps; its id is `$picture.id`.")
    answers: list[Answer] = Field(min_length=1, description="The answers to success, or to `refuse`.")

    @model_validator(mode="after")
    def _does_one_thing(self) -> Endpoint:
        if (self.operation is None) == (self.refuse is None):
            raise ValueError("an endpoint has either an 'operation' or a 'refuse'")
        if (self.operation == "send") != (self.message is not None):
            raise ValueError("'message' goes with 'operation: send'")
        if (self.operation == "upload") != (self.picture is not None):
            raise ValueError("'picture' goes with 'operation: upload'")
        return self


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
    denied: dict[str, Any] = Field(description="SMSBAT denies the account.")
    balance: dict[str, Any] = Field(description="No money left.")
    rate_limited: dict[str, Any] = Field(description="Too fast.")
    temporary: dict[str, Any] = Field(description="Trouble here or at SMSBAT; the client may repeat.")


class Outcomes(Section):
    """Which error a verdict of SMSBAT becomes when it is known before the answer."""

    invalid: ErrorKind = Field(description="Refused as it is; `$parameter` is the parameter concerned.")
    authentication: ErrorKind = Field(description="SMSBAT refuses the gateway's credentials.")
    forbidden: ErrorKind = Field(description="SMSBAT denies the account.")
    balance: ErrorKind = Field(description="SMSBAT's balance is used up.")
    rate_limited: ErrorKind = Field(description="SMSBAT's call limit.")
    temporary: ErrorKind = Field(description="No verdict, and the account says `on_timeout: refuse`.")


class ExampleAccount(Section):
    """The account that worked examples run under. Its secrets are published ones, so they stand in clear."""

    login: str = Field(description="Login in this dialect.")
    secrets: list[str] = Field(min_length=1, max_length=2, description="Secrets in clear.")
    viber: ViberType = Field("viber_promo", description="Viber type of its senders.")
    sms_fallback: SmsFallback | None = Field(None, description="As in an account.")
    otp: OtpSection | None = Field(None, description="As in an account.")
    pictures: dict[str, str] = Field({}, description="Ids of uploaded pictures and their public addresses.")


class Example(Section):
    """A request, what it becomes, and its answer. Message ids are `MESSAGE-1`, `MESSAGE-2`, ..."""

    name: str = Field(description="What it shows.")
    request: str = Field(description="A raw HTTP request: request line, headers, blank line, body.")
    items: list[dict[str, Any]] = Field([], description="The messagelist items that SMSBAT gets.")
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
    logins: Name | None = Field(None, description="The dialect whose logins it uses; without it, it has its own.")
    limits: Limits
    charset: Charset | None = Field(None, description="Without it every text is UTF-8.")
    authentication: Authentication
    documented: list[str] = Field(description="Every parameter the vendor documents or its clients send.")
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
        if self.outcomes is None and any(endpoint.operation == "send" for endpoint in self.endpoints):
            raise ValueError("'operation: send' needs 'outcomes'")
        return self
