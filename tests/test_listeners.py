"""Several addresses, plain and under TLS, and host names: a client whose address is moved by DNS changes nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.app import Doors
from gateway.errors import ConfigurationError
from gateway.mapping.examples import run
from gateway.mapping.loader import Plan, load
from gateway.settings import Address, Settings, addresses, host_and_port
from gateway.tls import Certificate
from gateway.wire.raw_http import read_request
from tests.support.process import GatewayProcess, command, gateway_process
from tests.support.raw import OK, answer_text, exchange, get, signed, upload, urlencoded
from tests.support.servers import MAPPINGS, accounts, eventually, free_address, running_sandbox, write_mappings
from tests.test_uploads import PNG

NAMES = ("bulk.sms-online.com", "media.sms-online.com")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write_certificate(authority: trustme.CA, folder: Path, *names: str) -> tuple[Path, Path]:
    """Certificate and key files of a server of these names."""
    folder.mkdir(exist_ok=True)
    issued = authority.issue_cert(*names)
    chain, key = folder / "tls.crt", folder / "tls.key"
    issued.private_key_pem.write_to_path(key)
    chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    return chain, key


class Deployment:
    """A gateway process with two plain doors and a TLS door, and a hosts file that leads the vendor's names there."""

    def __init__(self, process: GatewayProcess, plain: list[Address], tls: Address, folder: Path, sandbox: Any) -> None:
        self.process, self.plain, self.tls, self.folder, self.sandbox = process, plain, tls, folder, sandbox

    def resolve(self, host: str, port: int) -> tuple[str, int]:
        assert host in NAMES
        return host_and_port(self.tls if port == 443 else self.plain[0])


@pytest.fixture(scope="module")
def deployment(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    chain, key = write_certificate(authority, folder / "tls", *NAMES)
    plain, tls = [free_address(), free_address()], free_address()
    environment = {
        "GATEWAY_TLS_LISTEN": tls,
        "GATEWAY_TLS_CERTIFICATE": str(chain),
        "GATEWAY_TLS_KEY": str(key),
        "GATEWAY_PUBLIC_URL": f"http://{plain[1]}",
    }
    with running_sandbox() as sandbox:
        mappings = write_mappings(folder / "mappings", accounts(sandbox.url))
        log = folder / "log"
        with gateway_process(mappings, folder / "gateway.db", ",".join(plain), log, environment) as process:
            yield Deployment(process, plain, tls, folder, sandbox)


@contextlib.contextmanager
def private_hosts(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an entry in the hosts file does, for this process alone."""
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host in NAMES:
            return real(*deployment.resolve(host, int(port)), *rest, **options)
        return real(host, port, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", resolve)
        yield


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_client_with_the_vendors_addresses_sends_unchanged(
    deployment: Deployment, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """It uploads and sends under the names that are written into it, and checks the certificate's name."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    body = upload(PNG).partition(b"\r\n\r\n")[2]
    content_type = "multipart/form-data; boundary=----------------------------5d3e"
    with private_hosts(deployment, monkeypatch):
        address = f"{scheme}://media.sms-online.com/upload/"
        request = urllib.request.Request(address, body, {"Content-Type": content_type})
        with urllib.request.urlopen(request, context=context if scheme == "https" else None) as answer:
            image_id = json.load(answer)["image_id"]
        query = urlencoded(signed(phone="380500000801", image_id=image_id, sending_method="viber")).decode()
        address = f"{scheme}://bulk.sms-online.com/?{query}"
        with urllib.request.urlopen(address, context=context if scheme == "https" else None) as answer:
            assert answer.read().decode() == OK
            assert answer.geturl() == address
    picture = deployment.sandbox.received[-1]["messageData"]["img"]
    with urllib.request.urlopen(picture) as fetched:
        assert fetched.read() == PNG


def test_every_address_has_the_same_routes(deployment: Deployment) -> None:
    for address in deployment.plain:
        assert exchange(address, get(signed(phone="380500000802", txt="hello"))).text == OK


def shown_certificate(address: Address, authority: trustme.CA, **options: Any) -> tuple[bytes, str]:
    """The certificate that a server shows now, and the TLS version spoken with it."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    for name, value in options.items():
        setattr(context, name, value)
    if options.get("minimum_version") == ssl.TLSVersion.TLSv1:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with socket.create_connection(host_and_port(address), 10) as plain:
        with context.wrap_socket(plain, server_hostname=NAMES[0]) as secured:
            return secured.getpeercert(binary_form=True) or b"", secured.version() or ""


def test_a_new_certificate_is_shown_without_a_restart_and_a_bad_one_never(
    deployment: Deployment, authority: trustme.CA
) -> None:
    """Swapped by renaming, as certificate managers do."""
    before, _ = shown_certificate(deployment.tls, authority)
    chain, key = write_certificate(authority, deployment.folder / "new", *NAMES)
    (deployment.folder / "broken").write_text("no certificate")
    (deployment.folder / "broken").replace(deployment.folder / "tls" / "tls.crt")
    log = deployment.folder / "log"
    eventually(lambda: "the new TLS certificate can't be used" in log.read_text())
    assert shown_certificate(deployment.tls, authority)[0] == before
    key.replace(deployment.folder / "tls" / "tls.key")
    chain.replace(deployment.folder / "tls" / "tls.crt")
    eventually(lambda: shown_certificate(deployment.tls, authority)[0] != before)
    assert exchange(deployment.plain[0], get(signed(phone="380500000803", txt="hello"))).text == OK


def test_a_certificate_of_another_key_type_replaces_the_one_before(authority: trustme.CA, tmp_path: Path) -> None:
    """OpenSSL keeps one of each type in a context, and would go on showing the old one."""

    def write(kind: trustme.KeyType) -> bytes:
        issued = authority.issue_cert(*NAMES, key_type=kind)
        issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "tls.pem")
        return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())

    def shown(certificate: Certificate) -> bytes:
        client_context = ssl.create_default_context()
        authority.configure_trust(client_context)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context.wrap_bio(to_client, to_server, server_hostname=NAMES[0])
        server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
        for side in (client, server, client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        return client.getpeercert(binary_form=True) or b""

    first = write(trustme.KeyType.ECDSA)
    certificate = Certificate(tmp_path / "tls.pem", tmp_path / "tls.pem", "1.2")
    assert shown(certificate) == first
    for kind in (trustme.KeyType.RSA, trustme.KeyType.ECDSA):
        following = write(kind)
        assert certificate.refresh()
        assert shown(certificate) == following
    assert not certificate.refresh()


def test_old_tls_only_where_it_is_allowed(deployment: Deployment, authority: trustme.CA, tmp_path: Path) -> None:
    old = {"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1}
    with pytest.warns(DeprecationWarning, match="TLSv1"), pytest.raises(ssl.SSLError):
        shown_certificate(deployment.tls, authority, **old)
    chain, key = write_certificate(authority, tmp_path / "tls", *NAMES)
    tls = free_address()
    settings = {"TLS_LISTEN": tls, "TLS_CERTIFICATE": str(chain), "TLS_KEY": str(key), "TLS_MINIMUM": "1.0"}
    environment = {f"GATEWAY_{name}": value for name, value in settings.items()}
    mappings = write_mappings(tmp_path / "mappings", accounts("http://127.0.0.1:1"))
    with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log", environment):
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            assert shown_certificate(tls, authority, **old)[1] == "TLSv1"


@pytest.mark.parametrize("content", ["no certificate", ""])
def test_a_certificate_that_is_none_is_told_at_the_start(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tls.crt"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"the TLS certificate .* can't be used"):
        Certificate(file, file, "1.2")
    with pytest.raises(ConfigurationError, match="No such file"):
        Certificate(tmp_path / "absent", tmp_path / "absent", "1.2")


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"GATEWAY_TLS_LISTEN": "127.0.0.1:1"}, "GATEWAY_TLS_LISTEN needs GATEWAY_TLS_CERTIFICATE"),
        ({"GATEWAY_LISTEN": "127.0.0.1"}, "GATEWAY_LISTEN"),
        ({"GATEWAY_LISTEN": "127.0.0.1:1;127.0.0.1:2"}, "GATEWAY_LISTEN"),
        ({"GATEWAY_LISTEN": ""}, "are both blank"),
        ({"GATEWAY_PUBLIC_URL": "gateway.example"}, "GATEWAY_PUBLIC_URL"),
        ({"GATEWAY_MEDIA": "ftp://x/y"}, "GATEWAY_MEDIA is neither a folder nor s3://bucket/prefix"),
    ],
)
def test_settings_that_can_not_be(tmp_path: Path, environment: dict[str, str], complaint: str) -> None:
    listens = {"GATEWAY_LISTEN": "127.0.0.1:0", "GATEWAY_OPERATOR_LISTEN": "127.0.0.1:0"}
    mappings = write_mappings(tmp_path, accounts("http://127.0.0.1:1"))
    ended = command("serve", "--mappings", str(mappings), **{**listens, **environment})
    assert (ended.returncode, complaint in ended.stderr) == (2, True)


def test_doors_of_several_addresses() -> None:
    doors = Doors.of(Settings(listen="127.0.0.1:0,[::1]:0", operator_listen="127.0.0.1:0"))
    assert [each.family for each in doors.plain] == [socket.AF_INET, socket.AF_INET6]
    for each in (*doors.plain, doors.operator):
        each.close()
    assert addresses("a:1,b:2") == ["a:1", "b:2"]


# Which dialect answers


def plan_at(folder: Path, dialect: str, at: str) -> Plan:
    """The shipped files, with one dialect at other places."""
    mappings = write_mappings(folder, accounts("http://127.0.0.1:1"))
    file = mappings / f"{dialect}.yaml"
    line = next(each for each in file.read_text().splitlines() if each.startswith("at: "))
    file.write_text(file.read_text().replace(line, f"at: {at}"))
    return load([mappings])


@pytest.mark.parametrize(
    ("host", "path", "dialect"),
    [
        ("bulk.sms-online.com", "/", "messagio"),
        ("anything", "/x", "messagio"),
        ("anything", "/upload", "messagio-media"),
        ("anything", "/upload/x", "messagio-media"),
        ("anything", "/uploads", "messagio"),
        ("media.sms-online.com", "/", "messagio-media"),
        ("media.sms-online.com", "/api/SendMessage", "messagio-media"),
        ("restapi.smsbat.com", "/api/SendMessage", "smsbat-compat"),
        ("restapi.smsbat.com", "/apix", "messagio"),
        ("pc.sms-online.com", "/api/v1/getBalance", "messagio"),
        ("pc.sms-online.com", "/upload", "messagio"),
    ],
)
def test_the_most_exact_place_answers(tmp_path: Path, host: str, path: str, dialect: str) -> None:
    mappings = write_mappings(tmp_path, accounts("http://127.0.0.1:1"))
    assert load([mappings]).dialect_at(host, path).name == dialect


def test_a_host_name_keeps_a_dialect_to_itself(tmp_path: Path) -> None:
    plan = plan_at(tmp_path, "messagio", "[bulk.sms-online.com/]")
    query = urllib.parse.urlencode(signed(phone="79041231231", txt="hello"))

    def answer(host: str) -> str:
        request = read_request(f"GET /?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        dialect = plan.dialect_at(request.host, request.path)
        return run(dialect, plan.accounts.identities, request)[1].body.decode()

    assert answer("bulk.sms-online.com:443") == OK
    assert "(path)" in answer("other.example")
    assert answer("other.example") != answer_text(0, "OK")


def test_two_dialects_at_one_place_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="dialect 'messagio' answers there"):
        plan_at(tmp_path, "smsbat-compat", "[/]")


def test_check_tells_of_pictures_without_a_public_address(tmp_path: Path) -> None:
    mappings = write_mappings(tmp_path, accounts("http://127.0.0.1:1"))
    told = command("check", str(mappings))
    assert (told.returncode, "GATEWAY_PUBLIC_URL" in told.stdout) == (0, True)
    assert "GATEWAY_PUBLIC_URL" not in command("check", str(mappings), GATEWAY_PUBLIC_URL="https://x").stdout
    assert "GATEWAY_PUBLIC_URL" not in command("check", str(MAPPINGS)).stdout


def test_two_names_that_nobody_resolves_do_not_hold_up_a_third_one() -> None:
    """libuv looks up half as many names at a time as it has threads, which are four by its own default."""
    asked = """
import asyncio, os
from gateway.process import run_until_stopped

async def program(stop):
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    print(len(os.listdir("/proc/self/task")))

run_until_stopped(program)
"""
    threads = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert int(threads) > 64
