"""The authentication schemes that a dialect file may name."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.errors import Refusal
from gateway.mapping.accounts import Identity
from gateway.mapping.schema import DialectFile
from gateway.wire.forms import Fields, unescape
from gateway.wire.signatures import matches, md5_signature

#: What an unknown login is checked against, so that it takes the same path and time as a wrong signature.
_NOBODY = (secrets.token_bytes(16), secrets.token_bytes(16))


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Scheme ``md5``: hex md5 over the raw values in order and the secret (wire: messagio.md, A4).

    Scheme ``secret-or-md5``: the same, or the raw secret in its place (wire: messagio.md, part B; seed 000).
    """

    login: bytes
    signature: bytes
    over: tuple[tuple[bytes, bool], ...]
    or_secret: bool

    @classmethod
    def of(cls, file: DialectFile) -> Authenticator:
        """The authenticator that a dialect file describes."""
        named = file.authentication
        over = tuple((name.encode(), name in file.parameters and file.parameters[name].many) for name in named.over)
        return cls(named.login.encode(), named.signature.encode(), over, named.scheme == "secret-or-md5")

    def authenticate(self, fields: Fields, identities: Mapping[bytes, Identity]) -> tuple[Identity, Fields]:
        """The identity, and the fields as they are to be read afterwards. Raises ``Refusal``."""
        login, signature = fields.last(self.login), fields.last(self.signature)
        if login is None or signature is None:
            raise Refusal("credentials")
        identity = identities.get(login)
        signed = self.signed(fields)
        first, second = identity.secrets if identity else _NOBODY
        matched = self.proves(signature, signed, first) | self.proves(signature, signed, second)
        if identity is None or not matched:
            raise Refusal("authentication")
        return identity, _decoded(fields) if fields.unicode and identity.json_percent_encoded else fields

    def proves(self, signature: bytes, signed: list[bytes], secret: bytes) -> bool:
        """Whether a signature over these values was made with this secret; in constant time."""
        is_secret = self.or_secret & hmac.compare_digest(signature, secret)
        return matches(signature, md5_signature(signed, secret)) | is_secret

    def signed(self, fields: Fields) -> list[bytes]:
        """The raw values that a signature covers, in order, without the secret."""
        return [value for name, many in self.over for value in self.sent(fields, name, many)]

    @staticmethod
    def sent(fields: Fields, name: bytes, many: bool) -> list[bytes]:
        """The values that one signed parameter contributes."""
        if many:
            return fields.all(name)
        value = fields.last(name)
        return [] if value is None else [value]


def _decoded(fields: Fields) -> Fields:
    """A .NET client percent-encodes each value before it puts it into JSON, and signs the encoded form."""
    values = {name: [unescape(value) for value in each] for name, each in fields.values.items()}
    return Fields(values, fields.unicode)
