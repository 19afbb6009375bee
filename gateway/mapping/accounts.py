"""The accounts file, compiled: who a login is, and what its messages go out under."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.mapping.otp import NO_OTP, OtpRules, OtpTemplates, compile_rules
from gateway.mapping.schema import AccountSection, AccountsFile, Credential, Login, OtpSection, RateSection, SmsFallback
from gateway.mapping.secrets import BadSecret, resolve_secret
from gateway.mapping.source import Problem, Source, Where, did_you_mean


@dataclass(frozen=True, slots=True)
class SmsbatLogin:
    """One SMSBAT credential: where calls go, how they prove themselves, how many there may be."""

    name: str
    settings: Credential
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """One customer, with what its messages need on their way."""

    name: str
    smsbat: str
    variant: str
    viber: str
    sender_viber: Mapping[str, str]
    wait: float
    refuse_on_timeout: bool
    sms_fallback: SmsFallback | None = None
    rate: RateSection | None = None
    repeats: int | None = None
    otp: OtpRules = NO_OTP

    def viber_type(self, sender: str) -> str:
        """SMSBAT's type for a text-only Viber message of this sender."""
        return self.sender_viber.get(sender, self.viber)


@dataclass(frozen=True, slots=True)
class Identity:
    """An account as one dialect knows it. There are always two secrets, so that each check takes the same time."""

    login: bytes
    secrets: tuple[bytes, bytes] = field(repr=False)
    account: Account
    json_percent_encoded: bool


Identities = Mapping[str, Mapping[bytes, Identity]]


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everything the accounts files say. ``identities`` is by dialect, then by login."""

    accounts: Mapping[str, Account]
    identities: Identities
    smsbat: Mapping[str, SmsbatLogin]


def compile_accounts(
    content: AccountsFile,
    source: Source,
    dialects: Iterable[str],
    templates: OtpTemplates | None,
    environment: Mapping[str, str],
) -> tuple[Accounts, list[Problem]]:
    """Compile one accounts file; the problems are those that only show in the whole.

    Without ``templates``, since their file is broken, what accounts say of one-time passwords is not looked at.
    """
    return _AccountsCompiler(content, source, frozenset(dialects), templates, environment).compile()


class _AccountsCompiler:
    def __init__(
        self,
        content: AccountsFile,
        source: Source,
        dialects: frozenset[str],
        templates: OtpTemplates | None,
        environment: Mapping[str, str],
    ) -> None:
        self._content = content
        self._source = source
        self._dialects = dialects
        self._templates = templates
        self._environment = environment
        self._problems: list[Problem] = []
        self._identities: dict[str, dict[bytes, Identity]] = {dialect: {} for dialect in dialects}

    def compile(self) -> tuple[Accounts, list[Problem]]:
        smsbat = {name: self._credential(name, settings) for name, settings in self._content.smsbat.items()}
        accounts = {name: self._account(name, section) for name, section in self._content.accounts.items()}
        return Accounts(accounts, self._identities, smsbat), self._problems

    def _problem(self, where: Where, text: str) -> None:
        self._problems.append(self._source.problem(where, text))

    def _secret(self, reference: str, where: Where) -> str:
        try:
            return resolve_secret(reference, self._environment, self._content.demo)
        except BadSecret as error:
            self._problem(where, str(error))
            return ""

    def _credential(self, name: str, settings: Credential) -> SmsbatLogin:
        where: Where = ("smsbat", name)
        if settings.key is not None:
            key = self._secret(settings.key, (*where, "key"))
            by_header = settings.key_in == "header"
            headers = {"X-Authorization-Key": key} if by_header else _basic("@", key)
        else:
            headers = _basic(settings.login or "", self._secret(settings.password or "", (*where, "password")))
        if any(not value.isprintable() or not value.isascii() for value in headers.values()):
            self._problem(where, "the secret can't stand in an HTTP header: it holds a newline or a non-ASCII letter")
        return SmsbatLogin(name, settings, headers)

    def _account(self, name: str, section: AccountSection) -> Account:
        where: Where = ("accounts", name)
        if section.smsbat not in self._content.smsbat:
            known = self._content.smsbat
            self._problem(
                (*where, "smsbat"), f"no SMSBAT login '{section.smsbat}'{did_you_mean(section.smsbat, known)}"
            )
        account = self._built(name, section)
        for dialect, login in section.logins.items():
            self._identity(account, dialect, login, (*where, "logins", dialect))
        return account

    def _built(self, name: str, section: AccountSection) -> Account:
        credential = self._content.smsbat.get(section.smsbat)
        return Account(
            name=name,
            smsbat=section.smsbat,
            variant=credential.variant if credential else "guide-001",
            viber=section.viber,
            sender_viber={sender: settings.viber for sender, settings in section.senders.items()},
            wait=section.wait,
            refuse_on_timeout=section.on_timeout == "refuse",
            sms_fallback=section.sms_fallback,
            rate=section.rate,
            repeats=section.repeats,
            otp=self._otp(name, section.otp),
        )

    def _otp(self, name: str, section: OtpSection | None) -> OtpRules:
        if self._templates is None:
            return NO_OTP
        return compile_rules(section, self._templates, self._source, ("accounts", name, "otp"), self._problems)

    def _identity(self, account: Account, dialect: str, login: Login, where: Where) -> None:
        if dialect not in self._dialects:
            self._problem(where, f"no dialect '{dialect}'{did_you_mean(dialect, self._dialects)}")
            return
        known = self._identities[dialect]
        key = _bytes(login.login)
        if key in known:
            self._problem((*where, "login"), f"account '{known[key].account.name}' has this login already")
        secrets = [_bytes(self._secret(each, (*where, "secrets", i))) for i, each in enumerate(login.secrets)]
        pair = (secrets[0], secrets[-1])
        known[key] = Identity(key, pair, account, login.json_values == "percent-encoded")


def _bytes(text: str) -> bytes:
    """As it was in the environment, also where that was no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _basic(login: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(_bytes(f"{login}:{password}")).decode()}
