"""The authentication schemes that a dialect file may name."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.errors import Refusal
from gateway.mapping.accounts import Identity, token_digest
from gateway.mapping.schema.dialect import DialectFile
from gateway.wire.forms import Fields, unescape
from gateway.wire.signatures import matches, md5_signature

#: What an unknown login is checked against, so that it takes the same path and time as a wrong signature.
_NOBODY = (secrets.token_bytes(16), secrets.token_bytes(16))


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Scheme ``md5``: hex md5 over the raw values in order and the secret (wire: messagio.md, A4).

    Scheme ``secret-or-md5``: the same, or the raw secret in its place (wire: messagio.md, part B; seed 000).
    Scheme ``token``: the secret alone, which tells the account too (wire: smsby.md, 2); ``login`` is ``None`` then.
    """

    login: bytes | None
    signature: bytes
    over: tuple[tuple[bytes, bool], ...]
    files: tuple[bytes, ...]
    or_secret: bool

    @classmethod
    def of(cls, file: DialectFile) -> Authenticator:
        """The authenticator that a dialect file describes."""
        named = file.authentication
        specs = [(name.encode(), file.parameters.get(name)) for name in named.over]
        over = tuple((name, spec is not None and spec.many) for name, spec in specs)
        files = tuple(name for name, spec in specs if spec is not None and spec.type == "file")
        login = named.login.encode() if named.login else None
        return cls(login, named.signature.encode(), over, files, named.scheme == "secret-or-md5")

    def authenticate(self, fields: Fields, identities: Mapping[bytes, Identity]) -> tuple[Identity, Fields]:
        """The identity, and the fields as they are to be read afterwards. Raises ``Refusal``."""
        if self.login is None:
            return self._by_token(fields, identities), fields
        login, signature = self._credentials(fields, self.login)
        identity = identities.get(login)
        first, second = identity.secrets if identity else _NOBODY
        signed = self._signed_forms(fields)
        # How long it takes tells of those alone whose signature is right.
        matched = self._proves(signature, signed, first) or self._proves(signature, signed, second)
        if identity is None or not matched:
            raise Refusal("authentication")
        return identity, _decoded(fields) if fields.unicode and identity.json_percent_encoded else fields

    def _by_token(self, fields: Fields, identities: Mapping[bytes, Identity]) -> Identity:
        """Whose token it is. Tokens are found by their digests, so that time tells nothing of how near one was."""
        token = fields.last(self.signature)
        if token is None:
            raise Refusal("credentials", self.signature.decode())
        identity = identities.get(token_digest(token))
        if identity is None:
            raise Refusal("authentication")
        return identity

    def _credentials(self, fields: Fields, login_name: bytes) -> tuple[bytes, bytes]:
        """Login and signature, and what is signed is there: without its file an upload proves nothing."""
        login, signature = fields.last(login_name), fields.last(self.signature)
        if login is None:
            raise Refusal("credentials", login_name.decode())
        for name in self.files:
            if name not in fields.files:
                raise Refusal("parameter", name.decode())
        if signature is None:
            raise Refusal("credentials", self.signature.decode())
        return login, signature

    def proves(self, signature: bytes, fields: Fields, secret: bytes) -> bool:
        """Whether the signature over these fields was made with this secret."""
        return self._proves(signature, self._signed_forms(fields), secret)

    def _proves(self, signature: bytes, signed: Sequence[bytes], secret: bytes) -> bool:
        if self.or_secret and hmac.compare_digest(signature, secret):
            return True
        for form in signed:  # noqa: SIM110 in this form for half the price
            if matches(signature, md5_signature((form,), secret)):
                return True
        return False

    def _signed_forms(self, fields: Fields) -> tuple[bytes, ...]:
        """The md5 of a file is signed in lower case by every real client, and in upper case in the vendor's example."""
        signed = self.signed(fields)
        if not self.files:
            return (b"".join(signed),)
        md5s = [fields.files[name].md5 for name in self.files]
        return b"".join(signed), b"".join([value.upper() if value in md5s else value for value in signed])

    def signed(self, fields: Fields) -> list[bytes]:
        """The raw values that a signature covers, in order, without the secret."""
        values: list[bytes] = []
        for name, many in self.over:
            sent = fields.values.get(name)
            # As nearly all come: once, and not blank.
            values += sent if sent and len(sent) == 1 and sent[0] else self.sent(fields, name, many)
        return values

    @staticmethod
    def sent(fields: Fields, name: bytes, many: bool) -> Sequence[bytes]:
        """The values that one signed parameter contributes."""
        if many:
            return fields.all(name)
        last = fields.last(name)
        return () if last is None else (last,)


def _decoded(fields: Fields) -> Fields:
    """A .NET client percent-encodes each value before it puts it into JSON, and signs the encoded form."""
    values = {name: [unescape(value) for value in each] for name, each in fields.values.items()}
    return Fields(values, fields.unicode, fields.files, fields.nested)
