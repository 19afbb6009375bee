"""What may be shown of personal data in logs."""

from __future__ import annotations


def mask_phone(phone: str) -> str:
    """Country code and last two digits: enough to recognise a number, too little to call it."""
    return "*" * len(phone) if len(phone) < 8 else f"{phone[:3]}{'*' * (len(phone) - 5)}{phone[-2:]}"


def mask_text(text: str) -> str:
    """Only how long a text is."""
    return f"<{len(text)} characters>"
