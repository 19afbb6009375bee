"""The usual mistakes in signing, tried one by one against a signature that does not match."""

from __future__ import annotations

import itertools
import re
from binascii import unhexlify
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote_to_bytes

from gateway.mapping.accounts import Identity
from gateway.mapping.dialect import DialectPlan
from gateway.wire.forms import Fields, unescape
from gateway.wire.signatures import matches, md5_signature
from gateway.wire.text import normalize_newlines

_CODECS = {"UTF-8": "utf-8", "CP1251": "cp1251", "UTF-16BE": "utf-16-be", "UTF-16LE": "utf-16-le", "KOI8-R": "koi8-r"}
#: More phones than this are not tried in every order.
_PERMUTED = 5


@dataclass(frozen=True, slots=True)
class Signing:
    """What a client signed, as far as it matters to a mistake: ordered values, of which one is the text.

    ``names`` are what the dialect calls the four.
    """

    names: tuple[str, str, str, str]
    user: list[bytes]
    sender: list[bytes]
    phones: list[bytes]
    text: list[bytes]

    def values(self) -> list[bytes]:
        """In the order of the rule."""
        return [*self.user, *self.sender, *self.phones, *self.text]

    def with_text(self, text: bytes) -> list[bytes]:
        """The same with another text."""
        return [*self.user, *self.sender, *self.phones, text]

    def with_phones(self, phones: Sequence[bytes]) -> list[bytes]:
        """The same with other phones."""
        return [*self.user, *self.sender, *phones, *self.text]


@dataclass(frozen=True, slots=True)
class Guess:
    """A mistake, and what would have been signed by making it, besides the secret. No values: it can't have been."""

    mistake: str
    values: list[bytes]
    secret_first: bool = False
    tail: bytes = b""


def find_mistakes(
    plan: DialectPlan, fields: Fields, raw_form: bytes, identity: Identity, others: Sequence[Identity]
) -> list[str]:
    """The mistakes that would explain the signature, in words; which secret, when the account has two."""
    given = fields.last(plan.authenticator.signature) or b""
    signed = plan.authenticator.signed(fields)
    guesses = [guess for guess in _guesses(plan, fields, raw_form) if _differs(guess, signed)]
    if given != given.strip():
        guesses.append(Guess("'sign' itself has white space around it", signed))
    found = [
        f"{guess.mistake}{_secret_name(identity, i)}"
        for i, secret in enumerate(dict.fromkeys(identity.secrets))
        for guess in guesses
        if guess.values and matches(given.strip(), _signature(guess, secret))
    ]
    return list(dict.fromkeys(found)) + _foreign_secret(signed, given, others)


def _differs(guess: Guess, signed: Sequence[bytes]) -> bool:
    """Whether something else was signed by it than by the rule: what is the same can't be the mistake."""
    return guess.secret_first or bool(guess.tail) or b"".join(guess.values) != b"".join(signed)


def _secret_name(identity: Identity, index: int) -> str:
    """Which of two secrets; with one there is nothing to tell apart."""
    return "" if identity.secrets[0] == identity.secrets[1] else f" (with secret {index + 1} of this account's two)"


def _foreign_secret(signed: list[bytes], given: bytes, others: Sequence[Identity]) -> list[str]:
    return [
        f"it is signed with the secret of account '{other.account.name}'"
        for other in others
        if any(matches(given.strip(), md5_signature(signed, secret)) for secret in other.secrets)
    ]


def _signature(guess: Guess, secret: bytes) -> bytes:
    if guess.secret_first:
        return md5_signature([secret, *guess.values], b"")
    return md5_signature(guess.values, secret + guess.tail)


def _guesses(plan: DialectPlan, fields: Fields, raw_form: bytes) -> Iterator[Guess]:
    if plan.authenticator.files:
        yield from _about_file(plan, fields)
        return
    signing = _signing(plan, fields)
    yield from _about_order(signing)
    yield from _about_phones(signing)
    yield Guess("a newline was signed at the very end, behind the secret", signing.values(), tail=b"\n")
    if signing.text:
        yield from _about_text(signing, signing.text[0])
        yield from _about_escaping(plan, signing, signing.text[0], raw_form)


def _signing(plan: DialectPlan, fields: Fields) -> Signing:
    authenticator = plan.authenticator
    lists = [[*authenticator.sent(fields, name, many)] for name, many in authenticator.over]
    user, sender, phone, text, *_ = [*(name.decode() for name, _ in authenticator.over), "", "", "", ""]
    return Signing((user, sender, phone, text), *[*lists, [], [], [], []][:4])


def _about_file(plan: DialectPlan, fields: Fields) -> Iterator[Guess]:
    signed = plan.authenticator.signed(fields)
    yield Guess("the secret was put first instead of last", signed, secret_first=True)
    yield Guess("the md5 of the file was put before the login", signed[::-1])
    yield Guess("the file was left out", signed[:1])
    yield Guess("the login was left out", signed[1:])
    raw_md5s = [
        unhexlify(value) if value == fields.files[plan.authenticator.files[0]].md5 else value for value in signed
    ]
    yield Guess("the md5 of the file was put in as bytes, not as hex digits", raw_md5s)


def _about_order(signing: Signing) -> Iterator[Guess]:
    user, sender, phones, text = signing.user, signing.sender, signing.phones, signing.text
    its_user, its_sender, its_phone, its_text = signing.names
    yield Guess("the secret was put first instead of last", signing.values(), secret_first=True)
    yield Guess(f"{its_phone} was put before {its_sender}", [*user, *phones, *sender, *text])
    yield Guess(f"{its_text} was put before {its_phone}", [*user, *sender, *text, *phones])
    yield Guess(f"{its_sender} was put before {its_user}", [*sender, *user, *phones, *text])
    yield Guess(f"{its_sender} was left out", [*user, *phones, *text])


def _about_phones(signing: Signing) -> Iterator[Guess]:
    phones = signing.phones
    if 1 < len(phones) <= _PERMUTED:
        orders: Iterator[Sequence[bytes]] = itertools.permutations(phones)
    else:
        orders = iter([phones[::-1], sorted(phones), sorted(phones, reverse=True)])
    for order in orders:
        if list(order) != phones:
            yield Guess("the phones were signed in another order than they are sent", signing.with_phones(order))
    yield Guess("only the first phone was signed", signing.with_phones(phones[:1]) if len(phones) > 1 else [])
    yield Guess(
        "the phones were signed with commas between them",
        signing.with_phones([b",".join(phones)]) if len(phones) > 1 else [],
    )
    yield Guess("the phone was left out", signing.with_phones([]))
    yield Guess("the phones were signed with a plus", signing.with_phones([b"+" + phone for phone in phones]))


def _about_text(signing: Signing, text: bytes) -> Iterator[Guess]:
    its = signing.names[3]
    yield Guess(f"{its} was left out", signing.with_text(b""))
    for stray in (b"\n", b"\r\n", b" "):
        yield Guess(f"a stray newline or blank was signed at the end of {its}", signing.with_text(text + stray))
    yield Guess(f"{its} has a stray newline or blank around it that was not signed", signing.with_text(text.strip()))
    yield Guess("newlines were signed as LF and sent as CRLF", signing.with_text(text.replace(b"\r\n", b"\n")))
    yield Guess("newlines were signed as CRLF and sent as LF", signing.with_text(text.replace(b"\n", b"\r\n")))
    yield from _about_charset(signing, text)


def _about_charset(signing: Signing, text: bytes) -> Iterator[Guess]:
    for sent_name, sent in _CODECS.items():
        try:
            decoded = text.decode(sent)
        except UnicodeDecodeError:
            continue
        yield Guess("newlines were signed after clean-up", signing.with_text(normalize_newlines(decoded).encode(sent)))
        for signed_name, signed in _CODECS.items():
            mistake = f"{signing.names[3]} was sent in {sent_name} and signed in {signed_name}"
            yield Guess(mistake, signing.with_text(decoded.encode(signed, "replace")) if signed != sent else [])


def _about_escaping(plan: DialectPlan, signing: Signing, text: bytes, raw_form: bytes) -> Iterator[Guess]:
    its = signing.names[3]
    yield Guess(f"{its} was signed after percent-escaping", signing.with_text(quote_plus(text).encode()))
    yield Guess(f"{its} was signed after percent-escaping", signing.with_text(quote(text, safe="").encode()))
    yield Guess(f"{its} was percent-escaped twice", signing.with_text(unescape(text)))
    yield Guess(f"{its} was percent-escaped twice", signing.with_text(unquote_to_bytes(text)))
    yield Guess(
        f"{its} holds a '+' that was not escaped and arrived as a blank", signing.with_text(text.replace(b" ", b"+"))
    )
    names = b"|".join(re.escape(name.encode()) for name in sorted(plan.file.parameters))
    name = re.escape(plan.authenticator.over[-1][0])
    whole = re.search(rb"(?:^|&)%b=(.*?)(?=&(?:%b)=|$)" % (name, names), raw_form, re.DOTALL)
    if whole:
        yield Guess(f"{its} holds a '&' that was not escaped and cut it off", signing.with_text(unescape(whole[1])))
