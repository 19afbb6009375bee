"""The same secrets in what commands print: those that read, and those that end because something is wrong."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest

from gateway import cli
from gateway.app import Doors
from gateway.errors import ConfigurationError
from gateway.settings import Settings
from gateway.store.pictures import open_storage
from tests.support.canaries import (
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
from tests.support.process import command
from tests.support.raw import get, post, signed, upload, urlencoded
from tests.support.servers import write_mappings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment's folder, and the secrets in the environment."""
    mappings = write_mappings(tmp_path / "mappings", accounts("http://127.0.0.1:1"))
    write_tls(tmp_path)
    places = {"GATEWAY_MAPPINGS": str(mappings), "GATEWAY_MEDIA": str(tmp_path / "media")}
    places |= {"GATEWAY_LISTEN": "127.0.0.1:0", "GATEWAY_OPERATOR_LISTEN": "127.0.0.1:0"}
    for name, value in {**SECRETS, **places, "SCRIPT": "https://x/?key=query-Kanarie-8", "COLUMNS": "300"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


REQUESTS = {
    "right": post(urlencoded(messagio())),
    "wrong": get(signed("wrong", phone=PHONES["phone"], txt=TEXTS["text"])),
    "swapped": get([*messagio()[:-1], ("sign", SECRETS["COMPAT_SECRET"])]),
    "compat": compat(),
    "token": b"GET /api/v1/sendQuickSMS?token=tok+Kanarie-3&phone=375297314159&message=x HTTP/1.1\r\nHost: x\r\n\r\n",
    "upload": upload(PNG, b"onvUser", SECRETS["MD5_SECRET"].encode()),
    "nothing": SECRETS["TOKEN"].encode(),
}


def test_commands_that_read(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Explanations tell texts and phones, which are what is asked about; never a secret."""
    for name, raw in REQUESTS.items():
        (settings / name).write_bytes(raw)
    asked = [["explain", str(settings / name), *more] for name in REQUESTS for more in ([], ["--json"])]
    asked += [["explain", f"curl -u @:{SECRETS['SMSBAT_KEY']} --no-such-option {SECRETS['TOKEN']}"]]
    check = ["check", str(settings / "mappings")]

    def said(words: list[str]) -> bytes:
        monkeypatch.setattr(sys, "argv", ["smsbat-gateway", *words])
        with contextlib.suppress(SystemExit):
            cli.main()
        captured = capsys.readouterr()
        assert captured.out or captured.err
        return (captured.out + captured.err).encode()

    all_said = {" ".join(words): said(words) for words in (["--help"], ["serve", "--help"], check, *asked)}
    file = settings / "mappings" / "accounts.yaml"
    file.write_text(file.read_text().replace("${MD5_SECRET}", SECRETS["MD5_SECRET"]))
    all_said["check of a secret in clear"] = said(check)
    assert b"a secret stands here in clear" in all_said["check of a secret in clear"]
    assert leaks(all_said, SECRETS, LOGINS) == []


#: Settings that can't be used, with a secret in them; where it is not escaped it is taken for something else.
UNUSABLE = [
    *(
        {"GATEWAY_DATABASE": f"{kind}://postgres:{password}@127.0.0.1:1/x"}
        for kind in ("postgresql", "mysql")
        for password in (
            "db%2FKanarie%409%25%3A%23",
            SECRETS["DATABASE_PASSWORD"],
            "9/Kanarie",
            "x@Kanarie",
            "Ka:na:rie",
        )
    ),
    {"GATEWAY_DATABASE": SECRETS["DATABASE_PASSWORD"]},
    *(
        {"GATEWAY_MEDIA": f"{scheme}://key:{SECRETS['AWS_SECRET_ACCESS_KEY']}@{bucket}/x"}
        for scheme in ("s3", "https")
        for bucket in ("bucket:port", "")
    ),
    {"GATEWAY_MEDIA": f"s3:///{SECRETS['AWS_SECRET_ACCESS_KEY']}"},
    {"GATEWAY_PUBLIC_URL": f"ftp://key:{SECRETS['TOKEN']}@x"},
]


@pytest.mark.parametrize("environment", UNUSABLE)
def test_settings_that_can_not_be_used(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if "GATEWAY_MEDIA" in environment:
        with pytest.raises(ConfigurationError) as caught:
            open_storage(environment["GATEWAY_MEDIA"])
        print(caught.value)
    else:
        monkeypatch.setattr(sys, "argv", ["smsbat-gateway", "migrate"])
        with pytest.raises(SystemExit):
            cli.main()
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert said
    assert "anarie" not in said


def test_a_start_without_its_database(settings: Path) -> None:
    """As a whole process, whose log is set up."""
    done = command("serve", GATEWAY_DATABASE="postgresql://postgres:db%2FKanarie%409%25%3A%23@127.0.0.1:1/x")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "the database can't be opened: Connection refused"
    assert "Traceback" not in done.stderr
    assert leaks({"all": (done.stdout + done.stderr).encode()}, {**SECRETS, **key_lines(settings)}, LOGINS) == []


def test_a_key_that_can_not_be_used(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = settings / "tls.key"
    key.write_text(key.read_text().replace("A", "-", 4))
    for name, value in {"LISTEN": "127.0.0.1:0", "CERTIFICATE": str(settings / "tls.crt"), "KEY": str(key)}.items():
        monkeypatch.setenv(f"GATEWAY_TLS_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        Doors.of(Settings())
    assert leaks({"said": str(caught.value).encode()}, key_lines(settings)) == []
