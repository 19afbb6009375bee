"""Values that must not show up where they do not belong, and a search for all the shapes that they may take there."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import trustme

from tests.support.raw import post, signed, urlencoded
from tests.support.servers import SMSBY

#: By the environment's names for them.
SECRETS = {
    "MD5_SECRET": "mEss/Kanarie+1=%26",
    "COMPAT_SECRET": "compat/Kanarie+2=%26",
    "TOKEN": "tok Kanarie-3",
    "SMSBAT_KEY": "kEy/Kanarie+4=",
    "SMSBAT_PASSWORD": "pAss:Kanarie/5%",
    "HOOK": "hook-Kanarie-6-of-the-tests",
    "SCRIPT_PASSWORD": "script-Kanarie-7",
    "SCRIPT_KEY": "query-Kanarie-8",
    "DATABASE_PASSWORD": "db/Kanarie@9%:#",
    "AWS_ACCESS_KEY_ID": "AKIAKANARIE10",
    "AWS_SECRET_ACCESS_KEY": "s3/Kanarie+11==",
}
LOGINS = ("onvUser", "shop", "batlogin", "@", "postgres", "script", "AKIAKANARIE10")
TEXTS = {"text": "Жёлтая канарейка", "button": "Кнопка-канарейка", "reply": "ответ-канарейка", "name": "Канарин"}
PHONES = {"phone": "380507314159", "other phone": "375297314159", "end of a phone": "7314159"}
#: What its recipient alone is to know, until it is sent.
CODES = {"pin": "Kan4PIN", "pin in a text": "Kan5PIN", "flash code": "9174028356"}
PNG = b"\x89PNG\r\n\x1a\n"


def messagio(phone: str = PHONES["phone"], text: str = TEXTS["text"], **more: str) -> list[tuple[str, str]]:
    return signed(SECRETS["MD5_SECRET"], phone=phone, txt=text, **more)


def compat(**more: str) -> bytes:
    pairs = {"user": "onvUser", "sign": SECRETS["COMPAT_SECRET"], "from": "Shop", "phone": PHONES["phone"]}
    return post(urlencoded([*{**pairs, "txt": TEXTS["text"], **more}.items()]), target=b"/api/SendMessage")


def accounts(smsbat: str) -> dict[str, Any]:
    """An accounts file in which each secret is a reference."""
    callback = {"private": True, "schedule": {"steps": [{"minutes": 0.005}], "give_up": 60}}
    logins: dict[str, dict[str, Any]] = {
        "messagio": {"login": "onvUser", "secrets": ["${MD5_SECRET}"], "callback": {**callback, "url": "${SCRIPT}"}},
        "smsbat-compat": {"login": "onvUser", "secrets": ["${COMPAT_SECRET}"]},
    }
    by_token = {"smsby": {"secrets": ["${TOKEN}"], **SMSBY}}
    return {
        "kind": "accounts",
        "smsbat": {
            "main": {"url": smsbat, "key": "${SMSBAT_KEY}", "timeout": 0.2},
            "basic": {"url": smsbat, "login": "batlogin", "password": "${SMSBAT_PASSWORD}", "timeout": 0.2},
        },
        "accounts": {
            "demo": {"smsbat": "main", "logins": logins, "hook": "${HOOK}", "wait": 0.15, "otp": {"template": "basic"}},
            "shop": {"smsbat": "basic", "logins": by_token, "wait": 0.15},
        },
    }


def write_tls(folder: Path) -> None:
    issued = trustme.CA().issue_cert("sms.example")
    issued.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.crt").write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))


def key_lines(folder: Path) -> dict[str, str]:
    lines = (folder / "tls.key").read_text().splitlines()
    return {f"TLS key, line {number}": line for number, line in enumerate(lines) if "-" not in line and len(line) > 20}


def forms(value: str, logins: Iterable[str] = ()) -> Iterator[tuple[str, bytes]]:
    """A value in every usual form; with ``logins`` also as the password of each in Basic authentication."""
    raw = value.encode()
    yield "plain", raw
    yield "in cp1251", value.encode("cp1251", "ignore")
    yield "in UTF-16", value.encode("utf-16-le")
    yield "URL-escaped", quote(value, safe="").encode()
    yield "URL-escaped, lower case", _lower_escapes(quote(value, safe=""))
    yield "in a form", quote_plus(value).encode()
    yield "in JSON", json.dumps(value)[1:-1].encode()
    yield "as Python shows it", repr(value)[1:-1].encode()
    yield "as Python shows its bytes", repr(raw)[2:-1].encode()
    yield "in hex", raw.hex().encode()
    yield "in upper hex", raw.hex().upper().encode()
    for name in ("md5", "sha1", "sha256"):
        yield f"{name} of it alone", hashlib.new(name, raw).hexdigest().encode()
        yield f"{name} of it alone, raw", hashlib.new(name, raw).digest()
    for login in logins:
        yield f"with the login {login!r} in Basic authentication", base64.b64encode(f"{login}:{value}".encode())
    # What stands before it shifts it, so that there are three ways to write it; the edges depend on the neighbours.
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)[4 if shift else 0 :].rstrip(b"=")[:-1]
        yield f"in base64, shifted by {shift}", encoded
        yield f"in URL-safe base64, shifted by {shift}", encoded.replace(b"+", b"-").replace(b"/", b"_")


def _lower_escapes(escaped: str) -> bytes:
    pieces = escaped.split("%")
    return "%".join([pieces[0], *(each[:2].lower() + each[2:] for each in pieces[1:])]).encode()


def leaks(outputs: Mapping[str, bytes], values: Mapping[str, str], logins: Iterable[str] = ()) -> list[str]:
    """Where which value was found in which form, with what stands around it."""
    needles = [(name, form, needle) for name, value in values.items() for form, needle in forms(value, logins)]
    return [
        f"{name} ({form}) in {where}: {output[max(0, at - 60) : at + len(needle) + 30]!r}"
        for where, output in outputs.items()
        for name, form, needle in needles
        if len(needle) > 5 and (at := output.find(needle)) >= 0
    ]
