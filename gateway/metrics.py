"""What Prometheus is told. Every name that can come from outside is bounded: a client must not fill the memory."""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest, multiprocess

#: Names the folder in which several workers count together; the library reads it when it is imported.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_COUNTS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)

REQUESTS = Counter(
    "gateway_requests", "Requests of legacy clients, by what they were answered.", ["dialect", "endpoint", "outcome"]
)
REQUEST_SECONDS = Histogram(
    "gateway_request_seconds", "From a request's head to its answer.", ["dialect"], buckets=_QUICK
)
STAGE_SECONDS = Histogram(
    "gateway_stage_seconds",
    "Stages of a request, one behind the other: read (from its head on, until its parameters are there), understood"
    " (until its messages are built), done (until it is answered). One that is refused ends with the stage it is in.",
    ["stage"],
    buckets=_QUICK,
)
PARAMETERS = Counter(
    "gateway_parameters", "Parameters without effect that clients sent, by name.", ["dialect", "parameter", "fate"]
)
MESSAGES = Counter("gateway_messages", "Messages accepted.", ["dialect", "channel"])
QUEUED = Gauge(
    "gateway_queue_messages", "Messages in memory on their way to SMSBAT.", ["smsbat"], multiprocess_mode="livesum"
)
OLDEST = Gauge(
    "gateway_queue_oldest_seconds", "How long the oldest of them has been due.", ["smsbat"], multiprocess_mode="livemax"
)
CALLS = Counter(
    "gateway_smsbat_calls", "Sending calls to SMSBAT, by HTTP status or what went wrong.", ["smsbat", "outcome"]
)
CALL_SECONDS = Histogram("gateway_smsbat_call_seconds", "How long they took.", ["smsbat"], buckets=_QUICK)
CALL_MESSAGES = Histogram("gateway_smsbat_call_messages", "Messages in a call.", ["smsbat"], buckets=_COUNTS)
BREAKER = Gauge("gateway_smsbat_breaker_open", "1 while calls are held back.", ["smsbat"], multiprocess_mode="livemax")
DENIED = Gauge(
    "gateway_smsbat_credential_refused", "1 while SMSBAT refuses the login.", ["smsbat"], multiprocess_mode="livemax"
)
BUDGET = Gauge("gateway_smsbat_budget_calls", "Calls that may go out at once.", ["smsbat"], multiprocess_mode="livesum")
READS = Counter("gateway_smsbat_reads", "Status reads, by HTTP status or what went wrong.", ["smsbat", "outcome"])
REPORTS = Counter("gateway_reports", "Facts about messages that SMSBAT told.", ["smsbat", "status"])
REPLIES = Counter("gateway_replies", "Replies of subscribers that SMSBAT told.", ["smsbat"])
CALLBACKS = Counter(
    "gateway_callbacks", "Requests to partners' scripts, by what became of them.", ["account", "dialect", "state"]
)
COMMITS = Histogram("gateway_commit_seconds", "One group of writes, until it is on disk.", buckets=_QUICK)
COMMIT_WRITES = Histogram("gateway_commit_writes", "Writes in a group.", buckets=_COUNTS)
NODES = Gauge("gateway_nodes", "Gateway processes on this database.", multiprocess_mode="livemax")
PLAN = Gauge("gateway_plan_loaded_seconds", "When the mapping files in use were loaded.", multiprocess_mode="livemin")
PLAN_FAILURES = Counter("gateway_plan_failures", "Mapping files that were wrong, so that nothing changed.")


class Tally:
    """Observations of a histogram, gathered here until it is told of them: there, each costs many times as much.

    Use from one thread.
    """

    def __init__(self, histogram: Histogram, bounds: Sequence[float]) -> None:
        self._histogram = histogram
        self._bounds = (*bounds, math.inf)
        self._gathered: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)

    def observe(self, value: float, *labels: str) -> None:
        """One more, under these labels."""
        self._gathered[labels].append(value)

    def observe_all(self, values: Iterable[float], *labels: str) -> None:
        """More of them, under these labels."""
        self._gathered[labels] += values

    def tell(self) -> None:
        """Tell the histogram of all that was gathered. Sorted once, they need not be put under a bound one by one."""
        gathered = dict(self._gathered)
        self._gathered.clear()
        for labels, values in gathered.items():
            values.sort()
            child, below = self._histogram.labels(*labels) if labels else self._histogram, 0
            for bucket, bound in zip(child._buckets, self._bounds, strict=True):
                reached = bisect_right(values, bound)
                bucket.inc(reached - below)
                below = reached
            child._sum.inc(sum(values))


_STAGES = ("read", "understood", "done")
_REQUEST_TALLY, _STAGE_TALLY = Tally(REQUEST_SECONDS, _QUICK), Tally(STAGE_SECONDS, _QUICK)
_CALL_TALLY, _CALL_MESSAGES_TALLY = Tally(CALL_SECONDS, _QUICK), Tally(CALL_MESSAGES, _COUNTS)
_COMMIT_TALLY, _COMMIT_WRITES_TALLY = Tally(COMMITS, _QUICK), Tally(COMMIT_WRITES, _COUNTS)
_TALLIES = (_REQUEST_TALLY, _STAGE_TALLY, _CALL_TALLY, _CALL_MESSAGES_TALLY, _COMMIT_TALLY, _COMMIT_WRITES_TALLY)
#: What requests were answered, one by one: to count them here takes longer than to answer some of them.
_answered: list[tuple[str, str, str, Sequence[float]]] = []
_messages: Counts[tuple[str, str]] = Counts()
_calls: Counts[tuple[str, str]] = Counts()
_COUNTED: tuple[tuple[Counter, Counts[Any]], ...] = ((MESSAGES, _messages), (CALLS, _calls))


def count_request(dialect: str, endpoint: str, outcome: str, moments: Sequence[float]) -> None:
    """A request was answered; ``moments`` are when its head was whole, and when each stage was over, in seconds."""
    _answered.append((dialect, endpoint, outcome, moments))


def count_messages(dialect: str, channel: str, count: int) -> None:
    """Messages were accepted."""
    _messages[dialect, channel] += count


def count_call(smsbat: str, outcome: str, messages: int, seconds: float) -> None:
    """A call to SMSBAT ended."""
    _calls[smsbat, outcome] += 1
    _CALL_TALLY.observe(seconds, smsbat)
    _CALL_MESSAGES_TALLY.observe(messages, smsbat)


def count_commit(writes: int, seconds: float) -> None:
    """A group of writes ended."""
    _COMMIT_TALLY.observe(seconds)
    _COMMIT_WRITES_TALLY.observe(writes)


def tell_tallies() -> None:
    """Tell Prometheus of what was gathered."""
    for counter, gathered in _COUNTED:
        for labels, count in gathered.items():
            counter.labels(*labels).inc(count)
        gathered.clear()
    answered = [*_answered]
    _answered.clear()
    _tell_answered(answered)
    for tally in _TALLIES:
        tally.tell()


def _tell_answered(answered: Collection[tuple[str, str, str, Sequence[float]]]) -> None:
    by_labels: defaultdict[tuple[str, str, str], list[Sequence[float]]] = defaultdict(list)
    for dialect, endpoint, outcome, moments in answered:
        by_labels[dialect, endpoint, outcome].append(moments)
    for labels, all_moments in by_labels.items():
        REQUESTS.labels(*labels).inc(len(all_moments))
        _observe_requests(labels[0], all_moments)


def _observe_requests(dialect: str, answered: Collection[Sequence[float]]) -> None:
    _REQUEST_TALLY.observe_all([moments[-1] - moments[0] for moments in answered], dialect)
    for i, stage in enumerate(_STAGES):
        _STAGE_TALLY.observe_all([moments[i + 1] - moments[i] for moments in answered if len(moments) > i + 1], stage)


#: Names of parameters told apart; later ones are all "other".
_MOST_NAMES = 200
_names: set[tuple[str, str]] = set()


def parameter_without_effect(dialect: str, name: str, fate: str) -> None:
    """Count a parameter that nothing came of."""
    if (dialect, name) not in _names:
        if len(_names) >= _MOST_NAMES:
            name = "other"
        else:
            _names.add((dialect, name))
    PARAMETERS.labels(dialect, name, fate).inc()


def forget_process(pid: int) -> None:
    """A worker has ended: what it counted stays, what it had is no more there."""
    if FOLDER in os.environ:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


class _Workers(multiprocess.MultiProcessCollector):
    """What all workers counted."""

    def collect(self) -> Iterable[Metric]:
        """Each metric, of all workers together, as Prometheus's library asks for them."""
        # A worker that starts makes each file empty, and gives it its length then. In between the library fails on it.
        files = [str(file) for file in Path(os.environ[FOLDER]).glob("*.db") if _has_begun(file)]
        metrics: Iterable[Metric] = self.merge(files)  # type: ignore[no-untyped-call]
        return metrics


def _has_begun(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False  # of a worker that has ended just now


def exposition() -> bytes:
    """Everything, in Prometheus's text form; of all workers together where there are several."""
    tell_tallies()
    if FOLDER not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    _Workers(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
