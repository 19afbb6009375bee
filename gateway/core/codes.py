"""What codes are drawn from."""

from __future__ import annotations

import string

#: By the names that mapping files have for them.
ALPHABETS = {
    "letters": string.ascii_uppercase,
    "numbers": string.digits,
    "both": string.ascii_uppercase + string.digits,
}
