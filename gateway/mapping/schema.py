"""What a mapping file may say. Each class documents the keys that an author writes; ``schema.json`` is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.core.lifecycle import Status
from gateway.core.messages import Concern, Outcome

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_\-]*$")]
#: Literals, ``$references`` and functions, in the shape of the answer or item they stand for.
Tree = Any
#: ``name: value`` is equality, ``name: [a, b]`` membership, ``$present`` and ``$absent`` what they say.
Guard = dict[str, Any]
#: Enumerations stand as words in a file, where strict typing would want the Python member.
OutcomeWord = Annotated[Outcome, Field(strict=False)]
ConcernWord = Annotated[Concern, Field(strict=False)]
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
ViberType = Literal["viber_promo", "viber_trans", "viber_service"]


class Section(BaseModel):
    """A mapping whose keys are all known; a misspelt one is an error, not a setting without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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


class SmsFallback(Section):
    """An SMS instead of a Viber message that is not delivered in time, as one cascade at SMSBAT."""

    sender: str | None = Field(None, description="Its sender name; without it that of the Viber message.")
    ttl: int | None = Field(None, gt=0, description="Seconds that the SMS has.")


class OtpText(Section):
    """A wording that is a one-time password, with `{pin}` and the template's other parameters in it."""

    template: Name = Field(description="Name of the template that it is.")
    language: str = Field("en", min_length=2, description="Language of the template, as SMSBAT's `templateLang`.")
    text: str = Field(description="The text; case, white space and a final full stop do not matter.")
    values: dict[str, str | int] = Field({}, description="Parameters of the template that the text does not hold.")


class OtpSection(Section):
    """Viber texts of these senders are one-time passwords, and go out by SMSBAT's templates."""

    senders: list[str] | None = Field(None, description="Sender names; without them all of the account.")
    texts: list[OtpText] = Field([], description="Wordings of the account's own, besides those of the templates.")
    unmatched: Literal["refuse", "send"] = Field(
        "refuse", description="A text that is none of them: the error `parameter`, or an ordinary Viber message."
    )
    template: Name | None = Field(None, description="Template of a request that gives nothing but the code.")
    language: str = Field("en", min_length=2, description="Its language, as SMSBAT's `templateLang`.")


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


class Item(Section):
    """How a message of one kind becomes an entry of the messagelist."""

    when: Guard = Field(description="Which messages.")
    json_: Tree = Field(alias="json", description="The entry; a key whose value is absent is left out.")


class Receipts(Section):
    """Where SMSBAT's answer says what became of each message."""

    entries: str = Field(description="Key of the array of entries.")
    message_id: str = Field(description="SMSBAT's id; an entry without one is refused.")
    customer_id: str = Field(description="The gateway's id, as sent.")
    recipient: str = Field(description="The number; compared by digits.")
    parts: list[str] = Field(description="Keys of the number of parts; the first present counts.")
    status: str = Field(description="Key of the entry's status; missing means accepted.")
    refused: list[str] = Field(description="Status values that mean refused.")


class UpstreamErrors(Section):
    """How HTTP errors and refused entries are read into outcome kinds."""

    status: dict[int, OutcomeWord] = Field(description="HTTP status to outcome.")
    other_4xx: OutcomeWord = Field(description="Any other 4xx.")
    other: OutcomeWord = Field(description="Anything else that is no success, and bodies that are not JSON.")
    words: dict[OutcomeWord, list[str]] = Field(description="A 4xx whose wording holds one of these is that outcome.")
    duplicate: list[str] = Field(description="Wording that says the id was taken before: the message went out.")
    concerns: dict[ConcernWord, list[str]] = Field(
        description="Words in field, code or message that tell the part concerned."
    )


class OtpTemplateSection(Section):
    """One of SMSBAT's templates for one-time passwords."""

    name: Name = Field(description="Short name; accounts refer to it.")
    id: str = Field(description="SMSBAT's `templateId`.")
    parameters: dict[str, Literal["text", "minutes", "hours"]] = Field(
        description="Its `templateParams`: a text, or a number of minutes or hours."
    )
    validity: int | None = Field(None, gt=0, description="Seconds that its code is valid when no parameter says so.")
    text: str = Field(description="What subscribers read in English, with `{pin}` and the others in it.")


StatusWord = Annotated[Status, Field(strict=False)]


class ToldReport(Section):
    """A fact about a message."""

    message: Tree = Field(description="SMSBAT's id of the message, or the gateway's.")
    status: Tree = Field(description="The status, in a word of `statuses`.")
    reason: Tree = Field(None, description="Why it failed.")


class ToldReply(Section):
    """What a subscriber wrote."""

    id: Tree = Field(None, description="SMSBAT's id of it, which is taken once; without one, message and text are it.")
    message: Tree = Field(None, description="The message that it answers, when SMSBAT says so.")
    sender: Tree = Field(None, description="The sender name that it was written to.")
    phone: Tree = Field(None, description="Who wrote it.")
    text: Tree = Field(None, description="The words.")
    media: Tree = Field(None, description="Address of what was attached.")


class Told(Section):
    """One kind of thing that SMSBAT tells."""

    when: Guard = Field(description="Which bodies are of this kind.")
    report: ToldReport | None = Field(None, description="It is a fact about a message.")
    reply: ToldReply | None = Field(None, description="It is what a subscriber wrote.")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Told:
        if (self.report is None) == (self.reply is None):
            raise ValueError("either a 'report' or a 'reply'")
        return self


class Legs(Section):
    """Where SMSBAT says which part of a cascade did it."""

    statuses: str = Field(description="Key of an object of channel to status.")
    fallbacks: str = Field(description="Key of an array of objects with `type` and `status`.")


class Hooks(Section):
    """What SMSBAT tells later, by webhook or when it is asked."""

    read: str = Field(pattern=r"^/", description="Path of a status read; the message's id is put behind it.")
    fields: list[Name] = Field(min_length=1, description="Every name that bodies may have.")
    told: list[Told] = Field(min_length=1, description="The first whose guard holds.")
    statuses: dict[str, StatusWord] = Field(min_length=1, description="SMSBAT's words to the gateway's.")
    legs: Legs


class UpstreamFile(Section):
    """The API that messages are sent to."""

    kind: Literal["upstream"]
    upstream: Name = Field(description="Short name.")
    title: str = Field(description="Name for people.")
    submit: str = Field(pattern=r"^/", description="Path of the sending call.")
    envelope: str = Field(description="Key of the array of items.")
    otp_templates: list[OtpTemplateSection] = Field([], description="Templates for one-time passwords.")
    items: list[Item] = Field(min_length=1)
    receipts: Receipts
    errors: UpstreamErrors
    hooks: Hooks


class ScheduleStep(Section):
    """Repeats at one interval."""

    minutes: float = Field(gt=0, description="The interval.")
    times: int | None = Field(None, gt=0, description="How many; without it as many as there is time for.")


class ScheduleSection(Section):
    """When a callback is tried again."""

    steps: list[ScheduleStep] = Field(min_length=1, description="One after the other.")
    give_up: float = Field(gt=0, description="Minutes after the event when it is given up.")
    jitter: float = Field(0, ge=0, le=1, description="Share of an interval that chance adds.")
    stop: list[int] = Field([200], description="HTTP statuses that end it; all others are tried again.")


class CallbackBody(Section):
    """What one event looks like."""

    form: dict[str, Tree] | None = Field(None, description="Form fields in this order.")
    json_: Tree = Field(None, alias="json", description="A JSON document; always a POST.")

    @model_validator(mode="after")
    def _is_one(self) -> CallbackBody:
        if (self.form is None) == (self.json_ is None):
            raise ValueError("either a 'form' or a 'json'")
        return self


class CallbackFormatSection(Section):
    """How events are told to partners. An event that is not here is not told."""

    statuses: dict[StatusWord, str | int] = Field({}, description="The gateway's words to the dialect's.")
    reasons: dict[Literal["sms", "viber"], dict[str, str]] = Field(
        {}, description="By channel, why it failed; `other` for reasons that are not here or not known."
    )
    delivery: CallbackBody | None = Field(None, description="A message was delivered, or was not, or is on its way.")
    seen: CallbackBody | None = Field(None, description="It was opened.")
    reply: CallbackBody | None = Field(None, description="The subscriber wrote back.")
    answer: CallbackBody | None = Field(None, description="The subscriber answered a survey; a `reply` without this.")


class Callbacks(Section):
    """How a dialect's partners are told of what becomes of their messages."""

    schedule: ScheduleSection
    formats: dict[Name, CallbackFormatSection] = Field(min_length=1, description="The first one is the default.")


class CallbackExample(Section):
    """What SMSBAT tells of a message, and what its partner is told then."""

    name: str = Field(description="What it shows.")
    format: Name = Field(description="Which of the formats.")
    channel: Literal["sms", "viber"] = Field("viber", description="How the message was sent.")
    reference: str | None = Field(None, description="The partner's own id.")
    told: dict[str, Any] = Field(description="What SMSBAT tells, as an object.")
    callbacks: list[str] = Field(description="The bodies, one for each callback.")


class CallbackSection(Section):
    """Where an account's script is told of what becomes of its messages."""

    url: str = Field(min_length=1, description="Its address, in clear or as a secret reference.")
    method: Literal["POST", "GET"] = Field("POST", description="With GET the fields are added to the address.")
    format: Name | None = Field(None, description="How it is told; the dialect's default without it.")
    interim: bool = Field(False, description="Also of messages that are still on their way.")
    private: bool = Field(False, description="Its address may be in a private network.")
    schedule: ScheduleSection | None = Field(None, description="When to try again; the dialect's without it.")


class Login(Section):
    """An account's identity in one dialect."""

    login: str = Field(min_length=1, description="Its name there.")
    secrets: list[str] = Field(
        min_length=1, max_length=2, description="`${ENV_NAME}` or `file:/path`; two while one replaces the other."
    )
    callback: CallbackSection | None = Field(None, description="Where its script is told of reports and replies.")
    json_values: Literal["plain", "percent-encoded"] = Field(
        "plain", description="`percent-encoded`: values inside JSON bodies are decoded after the signature check."
    )


class Credential(Section):
    """One SMSBAT login: address, authentication and call limits."""

    url: str = Field(pattern=r"^https?://", description="Base address, given by SMSBAT's manager.")
    key: str | None = Field(None, description="API key, as a secret reference.")
    key_in: Literal["header", "password"] = Field(
        "header", description="Key in `X-Authorization-Key`, or as the password of Basic login `@`."
    )
    login: str | None = Field(None, description="Basic login.")
    password: str | None = Field(None, description="Basic password, as a secret reference.")
    variant: Literal["guide-001", "help-004"] = Field("guide-001", description="Which of SMSBAT's two forms is sent.")
    calls_per_second: float = Field(100, gt=0, description="Sending calls a second.")
    burst: int = Field(150, gt=0, description="Sending calls at once.")
    reads_per_second: float = Field(50, gt=0, description="Status reads a second.")
    calls_in_flight: int = Field(4, gt=0, le=100, description="Sending calls without an answer yet.")
    messages_per_call: int = Field(1000, gt=0, le=5000, description="Most messages in one call.")
    timeout: float = Field(30, gt=0, description="Seconds without a byte of answer.")

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

    per_second: float = Field(ge=0.001, le=1_000_000, description="Messages a second.")
    burst: int = Field(
        10, gt=0, le=1_000_000, description="Messages at once. A single request with more passes, and is worked off."
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
        le=31_536_000,
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


MappingFile = Annotated[DialectFile | UpstreamFile | AccountsFile, Field(discriminator="kind")]
