"""The certificate that TLS listeners show; it is read again when its files change."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Literal

import structlog

from gateway.errors import ConfigurationError

log = structlog.get_logger("gateway.tls")

TlsVersion = Literal["1.0", "1.1", "1.2", "1.3"]
#: Seconds between looks at the files. Asking for their times, and not for events, also sees what is swapped by links.
PAUSE = 1.0
_VERSIONS: dict[TlsVersion, ssl.TLSVersion] = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


class Certificate:
    """A certificate chain and its key, in PEM files; ``key`` may be the same file.

    ``context`` is for the server, and stays the same; connections that begin later get what is in the files then.
    Raises ``ConfigurationError`` when the files can't be used at the start; later the ones before stay in use.
    """

    def __init__(self, certificate: Path, key: Path, minimum: TlsVersion) -> None:
        self._files = (certificate, key)
        self._minimum = minimum
        self._trouble = ""
        try:
            self._loaded = self._state()
            self._current = self.context = self._new_context()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the TLS certificate {certificate} can't be used: {_reason(error)}") from error
        # Loading anew into a context would leave a certificate of another key type in it beside the new one.
        self.context.sni_callback = self._show_current

    def _show_current(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called for every connection, with a server name or without."""
        connection.context = self._current

    def refresh(self) -> bool:
        """Load the files anew when they changed; true when new ones are in use."""
        try:
            state = self._state()
            if state == self._loaded:
                return False
            self._current = self._new_context()
        except (OSError, ValueError) as error:
            self._complain(_reason(error))
            return False
        self._loaded, self._trouble = state, ""
        log.info("a new TLS certificate is in use")
        return True

    def _complain(self, reason: str) -> None:
        """Once for each reason: the files are looked at every second until they are good."""
        if reason != self._trouble:
            log.error("the new TLS certificate can't be used; the old one stays", reason=reason)
        self._trouble = reason

    async def watch(self) -> None:
        """Refresh for as long as the process runs."""
        while True:
            await asyncio.sleep(PAUSE)
            self.refresh()

    def _state(self) -> list[tuple[int, ...]]:
        states = (file.stat() for file in self._files)
        return [(state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_size) for state in states]

    def _new_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self._minimum]
        if self._minimum in ("1.0", "1.1"):
            # OpenSSL offers versions that old only at its lowest level of security.
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        # A password would be asked for at the terminal, where nobody is.
        context.load_cert_chain(*self._files, password=lambda: b"")
        return context


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "no PEM file"
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
