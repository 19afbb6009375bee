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

    ``context`` stays the same object: what is loaded into it counts for the connections that begin from then on.
    Raises ``ConfigurationError`` when the files can't be used at the start; later the ones before stay in use.
    """

    def __init__(self, certificate: Path, key: Path, minimum: TlsVersion) -> None:
        self._files = (certificate, key)
        self._minimum = minimum
        try:
            self._seen = self._times()
            self.context = self._new_context()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the TLS certificate {certificate} can't be used: {_reason(error)}") from error

    def refresh(self) -> bool:
        """Load the files anew when they changed; true when new ones are in use."""
        try:
            times = self._times()
            if times == self._seen:
                return False
            self._seen = times
            # A chain and key that do not fit must not get halfway into the context in use.
            self._new_context()
            self.context.load_cert_chain(*self._files)
        except (OSError, ValueError) as error:
            log.error("the new TLS certificate can't be used; the old one stays", reason=_reason(error))
            return False
        log.info("a new TLS certificate is in use")
        return True

    async def watch(self) -> None:
        """Refresh for as long as the process runs."""
        while True:
            await asyncio.sleep(PAUSE)
            self.refresh()

    def _times(self) -> list[tuple[int, int]]:
        return [(status.st_mtime_ns, status.st_ino) for status in (file.stat() for file in self._files)]

    def _new_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self._minimum]
        if self._minimum in ("1.0", "1.1"):
            # OpenSSL offers versions that old only at its lowest level of security.
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(*self._files)
        return context


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "no PEM file"
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
