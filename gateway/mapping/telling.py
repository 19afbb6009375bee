"""Lifecycle steps and replies as the facts that callbacks tell."""

from __future__ import annotations

from gateway.core.lifecycle import Reply, Status
from gateway.mapping.callbacks import Facts


def of_status(
    message_id: str, reference: str | None, status: Status, reason: str | None, channels: tuple[str, str]
) -> Facts:
    """What is told of a step; ``channels`` are the one asked for and the one really used, blank for none."""
    asked, leg = channels
    return Facts(
        event="seen" if status is Status.SEEN else "delivery",
        id=message_id,
        reference=reference,
        status=status.value,
        reason=reason,
        channel=asked,
        leg=leg,
    )


def of_reply(message_id: str, reference: str | None, reply: Reply) -> Facts:
    """What is told of a reply to a message."""
    return Facts(
        event="answer" if reply.message else "reply",
        id=message_id,
        reference=reference,
        channel="viber",
        leg="viber",
        text=reply.text,
        media=reply.media,
        reply=reply.id,
        phone=reply.digits,
        sender=reply.sender,
    )
