"""How it stands with SMSBAT under one login. Every change is a line in the log: an outage must not be a silent one."""

from __future__ import annotations

from enum import StrEnum

import structlog

from gateway.metrics import BREAKER, DENIED
from gateway.outbound.judgement import Judgement

log = structlog.get_logger("gateway.sender")


class Condition(StrEnum):
    """In the words of ``/readyz``."""

    OK = "ok"
    NO_ANSWER = "no answer"
    DENIED = "credential refused"


class Conditions:
    """What the ends of calls say of it, one after the other."""

    def __init__(self, login: str) -> None:
        self._login = login
        self.now = Condition.OK

    def learn(self, judgement: Judgement, is_held_back: bool, answer: str) -> None:
        """A call ended, in this HTTP status or for that reason; calls may be held back since then."""
        if judgement.denied:
            self._change(Condition.DENIED, answer)
        elif is_held_back:
            self._change(Condition.NO_ANSWER, answer)
        elif judgement.answered:
            self._change(Condition.OK, answer)

    def _change(self, to: Condition, answer: str) -> None:
        if to is self.now:
            return
        self.now = to
        if to is Condition.OK:
            log.warning("smsbat takes calls again", smsbat=self._login)
        elif to is Condition.DENIED:
            log.error("smsbat refuses the credential; accepted messages wait", smsbat=self._login, answer=answer)
        else:
            log.warning("smsbat does not answer; accepted messages wait", smsbat=self._login, answer=answer)

    def tell(self) -> None:
        """Tell Prometheus."""
        BREAKER.labels(self._login).set(self.now is Condition.NO_ANSWER)
        DENIED.labels(self._login).set(self.now is Condition.DENIED)
