"""Secrets in the accounts file: references to the environment or to a file, never the secret itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class BadSecret(ValueError):
    """A secret that can't be had; the text says why and never holds the secret."""


def resolve_secret(reference: str, environment: Mapping[str, str], literal_allowed: bool) -> str:
    """The secret behind ``${ENV_NAME}`` or ``file:/path`` (without its last newline). Raises ``BadSecret``."""
    variable = _ENVIRONMENT.fullmatch(reference)
    if variable:
        secret = environment.get(variable[1], "")
        complaint = f"the environment variable {variable[1]} is not set"
    elif reference.startswith("file:"):
        secret = _read(Path(reference.removeprefix("file:")))
        complaint = "the file is empty"
    elif literal_allowed:
        return reference
    else:
        raise BadSecret("a secret stands here in clear: write ${ENV_NAME} or file:/path (only a demo file may)")
    if not secret:
        raise BadSecret(complaint)
    return secret


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSecret(f"the file {path} can't be read") from error


def is_reference(text: str) -> bool:
    """Whether a text is a reference to a secret, where a plain value may stand as well."""
    return text.startswith("file:") or _ENVIRONMENT.fullmatch(text) is not None
