"""There is no engine here to build the image; what can be checked without one is."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.process import command, gateway_process
from tests.support.servers import MAPPINGS, accounts, free_address, write_mappings

ROOT = MAPPINGS.parent
#: Instructions with their continuation lines joined.
LINES = [line for line in re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines() if line[:1].isupper()]


def instructions(name: str) -> list[str]:
    return [line.partition(" ")[2] for line in LINES if line.startswith(f"{name} ")]


def test_every_copied_path_exists_and_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert copied
    assert all((ROOT / path).exists() for path in copied)
    assert set(copied) <= sent


def test_it_ends_as_a_user_without_rights_and_with_a_health_check() -> None:
    assert instructions("USER") == ["10001"]
    assert LINES.index("USER 10001") < LINES.index('ENTRYPOINT ["smsbat-gateway"]')
    assert len(instructions("HEALTHCHECK")) == 1


def test_its_command_and_its_environment_are_understood() -> None:
    entry, arguments = json.loads(instructions("ENTRYPOINT")[0]), json.loads(instructions("CMD")[0])
    assert entry == ["smsbat-gateway"]
    environment = dict(pair.split("=", 1) for pair in shlex.split(instructions("ENV")[-1]))
    environment.pop("PATH")
    assert command(*arguments, "--help", **environment).returncode == 0
    settings = {name for name in environment if name.startswith("GATEWAY_")}
    known = {f"GATEWAY_{name}" for name in ("LISTEN", "OPERATOR_LISTEN", "MAPPINGS", "DATABASE", "MEDIA", "LOG_FORMAT")}
    assert settings == known


def test_the_health_check_tells_a_serving_gateway_from_none(tmp_path: Path) -> None:
    _, _, program = json.loads(instructions("HEALTHCHECK")[0].partition("CMD ")[2])
    mappings = write_mappings(tmp_path / "mappings", accounts("http://127.0.0.1:1"))
    with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log") as process:
        here = program.replace("127.0.0.1:8081", process.operator)
        assert subprocess.run([sys.executable, "-c", here], check=False).returncode == 0
    gone = subprocess.run([sys.executable, "-c", here], check=False, capture_output=True)
    assert gone.returncode != 0


def test_installing_without_a_checkout_brings_the_migrations() -> None:
    """The image installs the package; what is no Python file must be named in pyproject.toml."""
    for path in (ROOT / "gateway").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            assert path.name == "script.py.mako", path
