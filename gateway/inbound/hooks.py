"""Where SMSBAT tells of messages by itself: an unguessable address for each account."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

import structlog

from gateway.clock import now_ms
from gateway.core.lifecycle import Reply, Report
from gateway.errors import Refusal, StoreUnavailable
from gateway.inbound.body import App, Body, ClientGone, Receive, Send
from gateway.mapping.accounts import Hook
from gateway.mapping.hooks import HookPlan, NotTold, UnknownStatus
from gateway.outbound.reports import Reports
from gateway.points import Point, reach

log = structlog.get_logger("gateway.hooks")

#: The path of hooks; the account's secret is put behind it.
HOOK_PATH = "/hooks/"
#: More than anything SMSBAT tells in one go.
_LIMIT = 1_000_000


class HookApp:
    """Takes what SMSBAT tells, and leaves every other request to the application behind it.

    200 only for what is on disk; SMSBAT may repeat everything else.
    """

    def __init__(self, hooks: Mapping[str, Hook], plan: HookPlan, reports: Reports, otherwise: App) -> None:
        self._hooks = hooks
        self._plan = plan
        self._reports = reports
        self._otherwise = otherwise

    def __call__(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        is_hook = scope["path"].startswith(HOOK_PATH)
        return (self._serve if is_hook else self._otherwise)(scope, receive, send)

    async def _serve(self, scope: Any, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        body = Body(scope, receive)
        try:
            status = await self._status(scope, path.removeprefix(HOOK_PATH), body)
        except ClientGone:
            return
        headers = [(b"content-length", b"0"), *([(b"connection", b"close")] if body.left_unread else [])]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _status(self, scope: Any, secret: str, body: Body) -> int:
        hook = self._hooks.get(secret)
        if hook is None or scope["method"] != "POST":
            return 404 if hook is None else 405
        if not hook.admits((scope.get("client") or ("0.0.0.0", 0))[0]):  # noqa: S104 an address that nobody calls from
            log.warning("a webhook call from an address that is not SMSBAT's", account=hook.account.name)
            return 403
        try:
            await self._take(hook, await body.read(_LIMIT))
            reach(Point.HOOK_STORED)
        except (Refusal, NotTold) as error:
            log.warning("a webhook call that is not understood", account=hook.account.name, error=str(error))
            return 400
        except StoreUnavailable as error:
            log.error("what a webhook told can't be stored", account=hook.account.name, error=str(error))
            return 503
        return 200

    async def _take(self, hook: Hook, content: bytes) -> None:
        account = hook.account
        told = self._plan.read(content, now_ms())
        reach(Point.HOOK_READ)
        reports = [each for each in told if isinstance(each, Report)]
        await self._reports.report(reports, account.smsbat, account.name)
        for each in told:
            if isinstance(each, Reply):
                await self._reports.reply(each, account.smsbat, account.name)
        unknown = [each.shown for each in told if isinstance(each, UnknownStatus)]
        if unknown:
            log.warning(
                "SMSBAT told statuses that are not known",
                account=account.name,
                first=unknown[0],
                count=len(unknown),
            )
