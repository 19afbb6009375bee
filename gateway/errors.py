"""The errors that cross rooms. Everything else is handled where it arises."""

from __future__ import annotations


class GatewayError(Exception):
    """Base of all of them; ``str()`` of one never holds a secret, a text or a phone."""


class ConfigurationError(GatewayError):
    """The gateway can't start as it is configured."""


class StoreUnavailable(GatewayError):
    """The database did not take what was given to it; nothing of it is stored."""


class RowRefused(StoreUnavailable):
    """The database does not take this row, whenever it is tried."""


class Refusal(GatewayError):
    """A request that is answered with one of the dialect's errors.

    ``kind`` is one of the mapping schema's ``ErrorKind`` names, or of those that the dialect has of its own;
    ``parameter`` is the name put into the answer.
    """

    def __init__(self, kind: str, parameter: str = "") -> None:
        super().__init__(f"{kind} ({parameter})" if parameter else kind)
        self.kind = kind
        self.parameter = parameter
