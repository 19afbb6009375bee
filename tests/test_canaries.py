"""Secrets, texts, phones and codes that are planted everywhere, and searched for in all that a gateway puts out.

Two lives of a real process, one on each database, with every dialect and everything that goes wrong; and the commands.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from gateway.sandbox import smsbat as sandbox_module
from gateway.sandbox.behaviour import Fault
from tests.support.canaries import (
    CODES,
    LOGINS,
    PHONES,
    PNG,
    SECRETS,
    TEXTS,
    accounts,
    compat,
    key_lines,
    leaks,
    messagio,
    write_tls,
)
from tests.support.postgres import new_database
from tests.support.process import GatewayProcess, gateway_process
from tests.support.raw import Connection, get, multipart, post, signed, upload, urlencoded
from tests.support.servers import (
    RunningSandbox,
    bound_name,
    eventually,
    free_address,
    running_sandbox,
    write_mappings,
)

#: What SMSBAT can do wrong, and what its calls end in. A login that was told to slow down is left alone for a while,
#: and so is one that fails too often.
FAULTS = {
    **dict.fromkeys((Fault.UNDELIVERABLE, Fault.PERMANENT_ERROR, Fault.REJECTED, Fault.STUCK), "200"),
    Fault.INVALID: "422",
    Fault.BALANCE: "402",
    Fault.UNAUTHORIZED: "401",
    Fault.FORBIDDEN: "403",
    Fault.BROKEN_JSON: "200",
    Fault.ERROR_AFTER: "500",
    Fault.UNAVAILABLE: "503",
    Fault.TIMEOUT: "TimeoutError",
    Fault.SLOW: "TimeoutError",
    Fault.TOO_MANY: "429",
}
AT_ANOTHER_LOGIN = (Fault.TIMEOUT, Fault.SLOW)


@dataclass
class Life:
    """A running gateway, what stands behind it, and what it said."""

    process: GatewayProcess
    sandbox: RunningSandbox
    folder: Path
    answers: list[bytes] = field(default_factory=list)

    def say(self, raw: bytes) -> bytes:
        """Send a raw request and keep the raw answer."""
        with Connection(self.process.address) as connection:
            connection.write(raw)
            answer = connection.read()
        self.answers.append(repr(answer.headers).encode() + answer.body)
        return answer.body

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> bytes:
        """Ask the operator's listener, or tell the webhook."""
        at_operator = not path.startswith("/hooks")
        url = f"http://{self.process.operator if at_operator else self.process.address}{path}"
        try:
            answer = urllib.request.urlopen(urllib.request.Request(url, body, method=method))
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            said: bytes = answer.read()
        self.answers.append(str(answer.headers).encode() + said)
        return said

    def method(self, name: str, /, token: str = SECRETS["TOKEN"], **parameters: Any) -> Any:
        """Call a method of sms.by."""
        query = urlencoded([("token", token), *((key, str(value)) for key, value in parameters.items())])
        said = self.say(b"GET /api/v1/%b?%b HTTP/1.1\r\nHost: app.sms.by\r\n\r\n" % (name.encode(), query))
        return json.loads(said)


def good_requests(life: Life) -> None:
    """Every dialect, with everything that can be in a message."""
    assert b"<code>0</code>" in life.say(post(urlencoded(messagio(dlr="1"))))
    assert b"<code>0</code>" in life.say(get(messagio("999220731415", p_transaction_id=TEXTS["name"])))
    viber = [
        *messagio(sending_method="viber"),
        ("button_name", TEXTS["button"]),
        ("button_link", "https://example.com"),
    ]
    life.say(post(urlencoded(viber)))
    assert b'"error"' not in life.say(compat(sending_method="viber"))
    life.say(compat(sending_method="viber_otp", txt=CODES["pin"], phone="380507314160"))
    wording = f"Your code is {CODES['pin in a text']}. Please don't share your code with ANYONE."
    wording += " We'll never call or message you and ask for it."
    life.say(compat(sending_method="viber_otp", txt=wording, phone="380507314161"))
    assert life.method("sendQuickSMS", phone=PHONES["other phone"], message=TEXTS["text"])["status"] == "NEW"
    picture = upload(PNG, b"onvUser", SECRETS["MD5_SECRET"].encode())
    life.say(picture)


def codes(life: Life) -> dict[str, str]:
    """Codes of sms.by; returns those that were drawn here."""
    password = life.method("createPasswordObject", type_id="both", len=12)["result"]["password_object_id"]
    message = {"phone": PHONES["other phone"], "message": f"{TEXTS['text']} %CODE%", "password_object_id": password}
    drawn = life.method("sendSmsMessageWithCode", **message)["code"]
    flash = life.method("flashCall", phone=PHONES["other phone"], code=CODES["flash code"])["data"]
    told = {"phone": PHONES["other phone"], "fclid": flash["fclid"]}
    life.method("confirmFlashCall", code="0000000000", **told)
    life.method("confirmFlashCall", code=CODES["flash code"], **told)
    return {"drawn code": drawn}


def mailing(life: Life) -> None:
    number = life.method("createSubscriberList", name=TEXTS["name"])["result"]["list_id"]
    life.method("addSubscriber", list_id=number, phone=PHONES["other phone"], name=TEXTS["name"])
    made = life.method("sendViberMessageList", vibername_id=444, list_id=number, message=TEXTS["text"])
    life.method("confirmViberMessage", message_id=made["result"]["message_id"])
    script = f"{life.sandbox.url}/partner/404"
    entry = {
        "alphaname_id": "444",
        "name": TEXTS["name"],
        "message_type": "bulk",
        "schedule_time": "2024-10-30T22:56:00",
    }
    entry = {**entry, "content": {"type": "text", "text": TEXTS["text"]}, "delivery_list": [PHONES["phone"]]}  # type: ignore[dict-item]
    body = json.dumps({"token": SECRETS["TOKEN"], "messages": [entry], "callback_url": script}).encode()
    life.say(post(body, b"application/json", b"/api/v1/sendBulkViber"))


def bad_requests(life: Life) -> None:
    """Wrong signatures, secrets in wrong places, bodies that are none."""
    secret, token, key = (SECRETS[name].encode() for name in ("MD5_SECRET", "TOKEN", "COMPAT_SECRET"))
    asked = urlencoded(messagio())
    for raw in (
        get(signed("no such secret", phone=PHONES["phone"], txt=TEXTS["text"])),
        get([*messagio()[:-1], ("sign", SECRETS["MD5_SECRET"])]),
        get([(SECRETS["MD5_SECRET"], TEXTS["text"]), (TEXTS["name"], PHONES["phone"]), *messagio()]),
        get([*messagio(), ("phone", "no phone " + TEXTS["text"]), ("lable" + PHONES["phone"], "x")]),
        post(asked.replace(b"&txt=", b"&txt=%zz&", 1)),
        post(asked, b"text/" + secret.replace(b"/", b"")),
        post(json.dumps({"user": "onvUser", "sign": SECRETS["MD5_SECRET"], "txt": TEXTS["text"]})[:-9].encode()),
        post(b'{"token": "%b", "phone": ' % token, b"application/json", b"/api/v1/sendQuickSMS"),
        post(token, target=b"/api/v1/sendQuickSMS"),
        post(b"x", target=b"/api/v1/sendQuickSMS/" + token.replace(b" ", b"%20") + b"/" + PHONES["phone"].encode()),
        multipart([(b"login", secret), (b"sign", key)], target=b"/upload/")[:-30] + b"x" * 30,
        upload(b"no picture " + TEXTS["text"].encode(), b"onvUser", secret),
        upload(PNG, b"onvUser", b"wrong"),
        compat(sign="wrong"),
        compat(sending_method="viber_otp", txt=TEXTS["text"]),
        b"GET /?sign=%b&txt=%b HTTP/9.9\r\nHost: x\r\n\r\n" % (key, PHONES["phone"].encode()),
        b"\x16\x03\x01 " + secret + b"\r\n\r\n",
        b"CONNECT %b HTTP/1.1\r\nHost: x\r\n\r\n" % key,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\nX-%b: 1\r\n\r\n" % key[:6],
    ):
        life.say(raw)
    life.method("sendQuickSMS", token=SECRETS["TOKEN"] + "x", phone=PHONES["other phone"], message=TEXTS["text"])
    life.method("sendQuickSMS", phone="no number", message=TEXTS["text"])
    life.method("confirmFlashCall", phone=PHONES["other phone"], code="1", fclid=SECRETS["TOKEN"])


def webhooks(life: Life) -> None:
    """What SMSBAT tells, and what it never would."""
    path = f"/hooks/{SECRETS['HOOK']}"
    text, phone = TEXTS["reply"], PHONES["phone"]
    for told in (
        {"idUuid": text, "alphaName": "Sender", "phoneNumber": phone, "text": text},
        {"messageId": "1", "deliverystatus": text},
        {"messageId": phone, "deliverystatus": f"{phone} {text}"},
        {"messageId": {"x": text}, "deliverystatus": [phone]},
        {text: phone},
    ):
        life.ask(path, "POST", json.dumps(told).encode())
    life.ask(path, "POST", json.dumps({"text": text})[:-3].encode())
    life.ask(path, "POST", urlencoded([("msg_id", phone), ("type", text), ("status", text)]))
    life.ask(path)
    life.ask(path + "/")
    life.ask(path.upper(), "POST", b"{}")


def broken_files(life: Life) -> None:
    """Mapping files that are wrong in ways that have a secret stand there, and no more."""
    accounts = life.folder / "mappings" / "accounts.yaml"
    good = accounts.read_text()
    md5, key = SECRETS["MD5_SECRET"], SECRETS["SMSBAT_KEY"]
    for bad in (
        good.replace("${MD5_SECRET}", md5),
        good.replace("${SMSBAT_KEY}", key),
        good.replace("${HOOK}", "short-Kan"),
        good.replace("${MD5_SECRET}", "${" + md5 + "}"),
        good.replace('"${MD5_SECRET}"', f"{{{md5}: [{key}"),
        good.replace("{", "{" + key + ": *" + md5 + ", ", 1),
        good.replace('"key":', f'"{key}":'),
        good.replace("http", key, 1),
    ):
        accounts.write_text(bad)
        assert b"problem" in life.ask("/reload", "POST")
        life.ask("/readyz")
    accounts.write_text(good)
    assert b"loaded" in life.ask("/reload", "POST")


def smsbat_in_trouble(life: Life) -> None:
    """Every fault of the sandbox, one after the other, and a wrong key."""
    options = life.sandbox.options
    for number, (fault, outcome) in enumerate(FAULTS.items()):
        options.fault = fault
        if fault in AT_ANOTHER_LOGIN:
            life.method("sendQuickSMS", phone=f"37529731418{number}", message=TEXTS["text"])
        else:
            life.say(get(messagio(f"38050731417{number}", dlr="1")))
        eventually(lambda: f'gateway_smsbat_calls_total{{outcome="{outcome}"'.encode() in life.ask("/metrics"))  # noqa: B023
    options.fault, options.key = None, "another"
    life.say(get(messagio()))
    options.key = SECRETS["SMSBAT_KEY"]


def without_database(life: Life, away: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
    """Requests, reports and questions while it is away."""
    with away():
        for raw in (get(messagio()), compat(), upload(PNG, b"onvUser", SECRETS["MD5_SECRET"].encode())):
            life.say(raw)
        life.method("sendQuickSMS", phone=PHONES["other phone"], message=TEXTS["text"])
        life.method("getSubscriberLists")
        webhooks(life)
        life.ask("/readyz")


class Bucket(BaseHTTPRequestHandler):
    """An object store that refuses, and quotes the key as Amazon's does."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        quoted = (
            f"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>{SECRETS['AWS_ACCESS_KEY_ID']}</AWSAccessKeyId>"
        )
        body = f"{quoted}<StringToSign>{SECRETS['AWS_SECRET_ACCESS_KEY']}</StringToSign></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextlib.contextmanager
def bucket() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield "http://{}:{}".format(*bound_name(server.socket))
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _sandbox_in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "SLOW_SECONDS", 0.5)


@contextlib.contextmanager
def life_on(database: Path | str, folder: Path, environment: dict[str, str]) -> Iterator[Life]:
    """A gateway, its sandbox with the secrets, and TLS."""
    write_tls(folder)
    options = {"key": SECRETS["SMSBAT_KEY"], "login": "batlogin", "password": SECRETS["SMSBAT_PASSWORD"]}
    with running_sandbox(pace=0.02, limited=False, **options) as sandbox:
        script = f"script:{SECRETS['SCRIPT_PASSWORD']}@"
        files = {"GATEWAY_TLS_CERTIFICATE": str(folder / "tls.crt"), "GATEWAY_TLS_KEY": str(folder / "tls.key")}
        set_up = {
            **SECRETS,
            **files,
            "SCRIPT": f"{sandbox.url}/partner/flaky-1?key={SECRETS['SCRIPT_KEY']}".replace(
                "http://", f"http://{script}"
            ),
            "GATEWAY_TLS_LISTEN": free_address(),
            "GATEWAY_LOG_LEVEL": "debug",
            "GATEWAY_PUBLIC_URL": "https://sms.example",
            **environment,
        }
        mappings, address = write_mappings(folder / "mappings", accounts(sandbox.url)), free_address()
        sandbox.tell_hook(address, SECRETS["HOOK"])
        with gateway_process(mappings, database, address, folder / "log", set_up) as process:
            yield Life(process, sandbox, folder)


@contextlib.contextmanager
def renamed(database: Path) -> Iterator[None]:
    """An SQLite database that lacks its tables for a while."""
    with contextlib.closing(sqlite3.connect(database, timeout=20)) as connection:
        tables = ("messages", "early_reports", "replies", "records")
        for table in tables:
            connection.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
        yield
        for table in tables:
            connection.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


@contextlib.contextmanager
def closed_to_all(url: str) -> Iterator[None]:
    """A PostgreSQL database that nobody is let in to for a while."""
    name = make_url(url).database
    other = make_url(url).set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


def lived(life: Life, away: Callable[[], contextlib.AbstractContextManager[None]]) -> dict[str, str]:
    """From the start to SIGTERM; returns the codes that were drawn."""
    good_requests(life)
    drawn = codes(life)
    mailing(life)
    bad_requests(life)
    webhooks(life)
    broken_files(life)
    eventually(lambda: {200, 500} <= {each["answered"] for each in life.sandbox.told})
    smsbat_in_trouble(life)
    without_database(life, away)
    for path in ("/metrics", "/readyz", "/healthz", "/nowhere"):
        life.ask(path)
    assert life.process.terminate() == 0
    return drawn


def check_output(life: Life, more: dict[str, str]) -> None:
    """No secret anywhere, no text in the log, and no whole phone."""
    log = (life.folder / "log").read_bytes()
    said = {f"answer {number}": answer for number, answer in enumerate(life.answers)}
    told = json.dumps([each["told"] for each in life.sandbox.told], ensure_ascii=False).encode()
    got = json.dumps(life.sandbox.received, ensure_ascii=False).encode()
    secrets = {**SECRETS, **key_lines(life.folder)}
    assert leaks({"log": log, **said, "callbacks": told, "calls": got}, secrets, LOGINS) == []
    assert leaks({"log": log}, {**TEXTS, **PHONES, **CODES, **more}) == []
    operators = {name: said[name] for name in [*said][-4:]}
    assert leaks(operators, {**TEXTS, **PHONES, **CODES, **more}) == []


def check_database(content: dict[str, bytes], drawn: dict[str, str]) -> None:
    """Texts and phones are there; codes that were sent, and secrets, are not."""
    whole = b"".join(content.values())
    assert TEXTS["text"].encode() in whole
    assert PHONES["phone"].encode() in whole
    assert leaks(content, {**SECRETS, **CODES, **drawn}, LOGINS) == []


def test_a_life_on_sqlite(tmp_path: Path) -> None:
    database = tmp_path / "gateway.db"
    with bucket() as endpoint:
        aws = {"AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
        with life_on(database, tmp_path, {**aws, "GATEWAY_MEDIA": "s3://pictures/shop"}) as life:
            drawn = lived(life, lambda: renamed(database))
    check_output(life, drawn)
    check_database({path.name: path.read_bytes() for path in tmp_path.glob("gateway.db*")}, drawn)


def test_a_life_on_postgresql(tmp_path: Path) -> None:
    url = make_url(new_database()).set(password=SECRETS["DATABASE_PASSWORD"]).render_as_string(hide_password=False)
    with life_on(url, tmp_path, {"GATEWAY_LOG_FORMAT": "console"}) as life:
        drawn = lived(life, lambda: closed_to_all(url))
    check_output(life, drawn)
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = {table: connection.execute(f"SELECT t::text FROM {table} t".encode()).fetchall() for (table,) in tables}
    check_database({table: "\n".join(row[0] for row in found).encode() for table, found in rows.items()}, drawn)
