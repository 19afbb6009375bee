"""The accounts file, compiled: who a login is, and what its messages go out under."""

from __future__ import annotations

import base64
import hashlib
import re
import zoneinfo
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from gateway.core.addresses import may_be_called
from gateway.mapping.callbacks import CallbackPlan, CallbackTarget
from gateway.mapping.conversions import Named, NameTables
from gateway.mapping.functions import flat
from gateway.mapping.otp import NO_OTP, OtpRules, OtpTemplates, compile_rules
from gateway.mapping.schema.accounts import AccountSection, AccountsFile, Credential, Login, RateSection
from gateway.mapping.schema.callbacks import CallbackSection
from gateway.mapping.schema.common import NameTable, OtpSection, SmsFallback
from gateway.mapping.schema.dialect import DialectFile
from gateway.mapping.secrets import BadSecret, is_reference, resolve_secret
from gateway.mapping.source import Problem, Source, Where, did_you_mean

_HOOK = re.compile(r"[A-Za-z0-9_-]{16,}")


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
    #: Whether SMSBAT tells of its messages by itself, and the dialects in which somebody is told, or asks.
    hooked: bool = False
    told: frozenset[str] = frozenset()
    #: The dialects whose requests say themselves what replaces their Viber messages.
    fallback_by_request: frozenset[str] = frozenset()

    def viber_type(self, sender: str) -> str:
        """SMSBAT's type for a text-only Viber message of this sender."""
        return self.sender_viber.get(sender, self.viber)

    def fallback(self, dialect: str) -> SmsFallback | None:
        """The SMS that replaces undelivered Viber messages of a dialect, as far as the account says it."""
        return None if dialect in self.fallback_by_request else self.sms_fallback


@dataclass(frozen=True, slots=True)
class Identity:
    """An account as one dialect knows it. There are always two secrets, so that each check that fails takes as long.

    ``names`` and ``figures`` are what is configured for it, ``zone`` is where its clocks are; ``known`` is what answers
    know of all that.
    """

    secrets: tuple[bytes, bytes] = field(repr=False)
    account: Account
    json_percent_encoded: bool = False
    names: NameTables = field(default_factory=dict)
    figures: Mapping[str, str | int] = field(default_factory=dict)
    zone: tzinfo = UTC
    known: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Put together once what every request of its needs."""
        tables = {name: [*table.values()] for name, table in self.names.items()}
        object.__setattr__(self, "known", {"zone": self.zone, **tables, **flat("figures", self.figures)})


@dataclass(frozen=True, slots=True)
class Hook:
    """Where SMSBAT tells of an account's messages; ``networks`` are those it may call from, none for any."""

    account: Account
    networks: tuple[IPv4Network | IPv6Network, ...]

    def admits(self, address: str) -> bool:
        """Whether a caller's address is one of SMSBAT's."""
        if not self.networks:
            return True
        parsed = ip_address(address)
        mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
        return any((mapped or parsed) in network for network in self.networks)


Identities = Mapping[str, Mapping[bytes, Identity]]


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everything the accounts files say.

    ``identities`` is by dialect, then by login; ``targets`` by account and dialect, ``hooks`` by their secret.
    """

    accounts: Mapping[str, Account]
    identities: Identities
    smsbat: Mapping[str, SmsbatLogin]
    targets: Mapping[tuple[str, str], CallbackTarget]
    hooks: Mapping[str, Hook] = field(repr=False)
    #: How scripts are told whose addresses come with requests.
    by_request: Mapping[tuple[str, str], CallbackTarget] = field(default_factory=dict)
    #: More host names, each with the dialect that answers there.
    hosts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class DialectLogins:
    """What an account's login needs to know of its dialect; ``file`` is ``None`` when that is broken."""

    file: DialectFile | None
    callbacks: CallbackPlan | None
    is_asked: bool = False

    @property
    def by_token(self) -> bool:
        """Whether the secret alone tells whose a request is."""
        return self.file is not None and self.file.authentication.scheme == "token"


def token_digest(token: bytes) -> bytes:
    """What a token is found by. A ``+`` that somebody did not escape comes as a space (wire: smsby.md, 2).

    Where it comes from a file, or stands last in a body that does, a line's end is no part of it.
    """
    return hashlib.sha256(token.strip(b"\t\r\n").replace(b" ", b"+")).digest()


def name_tables(tables: Mapping[str, NameTable]) -> NameTables:
    """Tables of names as they are used."""
    return {
        table: {
            number: Named(number, entry, entry)
            if isinstance(entry, str)
            else Named(number, entry.name, entry.title or entry.name)
            for number, entry in entries.items()
        }
        for table, entries in tables.items()
    }


def compile_accounts(
    content: AccountsFile,
    source: Source,
    dialects: Mapping[str, DialectLogins],
    templates: OtpTemplates | None,
    environment: Mapping[str, str],
) -> tuple[Accounts, list[Problem]]:
    """Compile one accounts file; the problems are those that only show in the whole.

    ``dialects`` are those with logins. Without ``templates``, since their file is
    broken, what accounts say of one-time passwords is not looked at.
    """
    return _AccountsCompiler(content, source, dialects, templates, environment).compile()


class _AccountsCompiler:
    def __init__(
        self,
        content: AccountsFile,
        source: Source,
        dialects: Mapping[str, DialectLogins],
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
        self._targets: dict[tuple[str, str], CallbackTarget] = {}
        self._hooks: dict[str, Hook] = {}
        self._hosts: list[tuple[str, str]] = []
        self._by_request: dict[tuple[str, str], CallbackTarget] = {}

    def compile(self) -> tuple[Accounts, list[Problem]]:
        smsbat = {name: self._credential(name, settings) for name, settings in self._content.smsbat.items()}
        accounts = {name: self._account(name, section) for name, section in self._content.accounts.items()}
        found = Accounts(accounts, self._identities, smsbat, self._targets, self._hooks, self._by_request, self._hosts)
        return found, self._problems

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
            self._target(name, dialect, login.callback, (*where, "logins", dialect, "callback"))
            self._target_by_request(name, dialect, login)
        self._hook(account, section, where)
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
            hooked=section.hook is not None,
            told=frozenset(
                dialect
                for dialect, login in section.logins.items()
                if login.callback or (dialect in self._dialects and self._dialects[dialect].is_asked)
            ),
            fallback_by_request=frozenset(
                name
                for name, dialect in self._dialects.items()
                if dialect.file and dialect.file.sms_fallback == "by-request"
            ),
        )

    def _target(self, account: str, dialect: str, section: CallbackSection | None, where: Where) -> None:
        if section is None or dialect not in self._dialects:
            return
        plan = self._callback_plan(dialect, section.format, where)
        url = self._secret(section.url, (*where, "url")) if is_reference(section.url) else section.url
        if not may_be_called(url) or "#" in url:
            self._problem((*where, "url"), "this is no http or https address")
        if plan is not None:
            self._targets[account, dialect] = plan.target(account, dialect, url, section)

    def _target_by_request(self, account: str, dialect: str, login: Login) -> None:
        """Whoever has a login may name addresses in requests, where the dialect knows what to tell them."""
        known = self._dialects.get(dialect)
        plan = known.callbacks if known else None
        if known is None or plan is None or plan.bulk_format is None:
            return
        chosen = CallbackSection(url="(by request)", format=plan.bulk_format, private=login.private_callbacks)
        target = plan.target(account, dialect, "", chosen)
        zone = time_zone(login.zone or (known.file.zone if known.file else "UTC")) or UTC
        self._by_request[account, dialect] = replace(target, by_request=True, zone=zone)

    def _callback_plan(self, dialect: str, name: str | None, where: Where) -> CallbackPlan | None:
        """The dialect's own, or that of another one that has the format asked for."""
        own = self._dialects[dialect].callbacks
        plans = [plan for plan in (own, *(each.callbacks for each in self._dialects.values())) if plan is not None]
        found = next((plan for plan in plans if name is None or name in plan.formats), None)
        if name is None and own is None:
            self._problem(where, f"dialect '{dialect}' has no callbacks of its own: choose a 'format'")
        elif found is None:
            known = [each for plan in plans for each in plan.formats]
            self._problem((*where, "format"), f"no callback format '{name}'{did_you_mean(str(name), known)}")
        return found

    def _hook(self, account: Account, section: AccountSection, where: Where) -> None:
        if section.hook is None:
            return
        secret = self._secret(section.hook, (*where, "hook"))
        if not _HOOK.fullmatch(secret):
            self._problem((*where, "hook"), "it must have at least 16 letters, digits, '-' or '_', and nothing else")
        if secret in self._hooks:
            self._problem((*where, "hook"), f"account '{self._hooks[secret].account.name}' has this one already")
        self._hooks[secret] = Hook(account, tuple(self._networks(section.hook_from, (*where, "hook_from"))))

    def _networks(self, listed: Sequence[str], where: Where) -> Iterator[IPv4Network | IPv6Network]:
        for i, each in enumerate(listed):
            try:
                yield ip_network(each)
            except ValueError:
                self._problem((*where, i), "this is no network address, such as 203.0.113.0/24")

    def _otp(self, name: str, section: OtpSection | None) -> OtpRules:
        if self._templates is None:
            return NO_OTP
        return compile_rules(section, self._templates, self._source, ("accounts", name, "otp"), self._problems)

    def _identity(self, account: Account, dialect: str, login: Login, where: Where) -> None:
        if dialect not in self._dialects:
            self._problem(where, f"no dialect '{dialect}'{did_you_mean(dialect, self._dialects)}")
            return
        of_dialect = self._dialects[dialect]
        sound = of_dialect.file is not None and of_dialect.by_token == (login.login is None)
        if of_dialect.file is not None and not sound:
            text = "the token tells whose it is: there is no 'login'" if of_dialect.by_token else "'login' is missing"
            self._problem(where, text)
        secrets = [_bytes(self._secret(each, (*where, "secrets", i))) for i, each in enumerate(login.secrets)]
        keys = {token_digest(each) for each in secrets} if of_dialect.by_token else {_bytes(login.login or "")}
        identity = self._known_as(account, of_dialect.file, login, secrets, where)
        for i, host in enumerate(login.hosts):
            if any(host == known and dialect != other for known, other in self._hosts):
                self._problem((*where, "hosts", i), "another dialect answers there")
            self._hosts.append((host, dialect))
        known = self._identities[dialect]
        for key in keys:
            if key in known and sound and all(secrets):
                what = "token" if of_dialect.by_token else "login"
                self._problem((*where, "login"), f"account '{known[key].account.name}' has this {what} already")
            known[key] = identity

    def _known_as(
        self, account: Account, file: DialectFile | None, login: Login, secrets: Sequence[bytes], where: Where
    ) -> Identity:
        zone = login.zone or (file.zone if file else "UTC")
        known_names: Collection[str] = file.names if file else login.names
        known_figures = file.figures if file else login.figures
        for key, given, known in (("names", login.names, known_names), ("figures", login.figures, known_figures)):
            for name in given.keys() - set(known):
                self._problem((*where, key, name), f"the dialect has no '{name}'{did_you_mean(name, known)}")
        for name in login.figures.keys() & known_figures.keys():
            if isinstance(known_figures[name], int) and not isinstance(login.figures[name], int):
                self._problem((*where, "figures", name), "it is a number")
        return Identity(
            (secrets[0], secrets[-1]),
            account,
            login.json_values == "percent-encoded",
            name_tables(login.names),
            _figures(file.figures if file else {}, login.figures),
            self._zone(zone, (*where, "zone")),
        )

    def _zone(self, name: str, where: Where) -> tzinfo:
        zone = time_zone(name)
        if zone is None:
            self._problem(where, "no such time zone, such as Europe/Minsk")
        return zone or UTC


def time_zone(name: str) -> tzinfo | None:
    """A time zone by its name, such as Europe/Minsk; ``None`` when none is called so."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _figures(known: Mapping[str, str | int], given: Mapping[str, str | int]) -> dict[str, str | int]:
    """An account's figures, in the types that the dialect has them in: money is text, whatever YAML takes it for."""
    return {**known, **{name: str(each) if isinstance(known.get(name), str) else each for name, each in given.items()}}


def _bytes(text: str) -> bytes:
    """As it was in the environment, also where that was no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _basic(login: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(_bytes(f"{login}:{password}")).decode()}
