"""The lines that Lambda writes into a function's log, and what it bills.

Tabs between fields, as in real logs. Sources: public logs of real accounts; "Understanding Lambda
log formats" (Lambda Developer Guide); INIT is billed since 2025-08-01 ("AWS Lambda standardizes
billing for INIT Phase", AWS Compute Blog).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One invocation, measured.

    duration_ms: from START to END. init_ms: how long the init of a cold start took; None otherwise.
    error_type:  what went wrong with the runtime (`Runtime.ExitError`); a function's own exception
                 is none.
    """

    request_id: str
    duration_ms: float
    memory_mb: int
    max_rss_bytes: int
    init_ms: float | None = None
    timed_out: bool = False
    error_type: str | None = None

    @property
    def billed_ms(self) -> int:
        """Whole milliseconds, rounded up, init included."""
        return math.ceil(self.duration_ms + (self.init_ms or 0.0))

    @property
    def max_memory_mb(self) -> int:
        """Never more than there is: a function that asked for more was ended."""
        return min(self.memory_mb, max(1, math.ceil(self.max_rss_bytes / MIB)))


def init_start(version: str, arn: str) -> str:
    """version: `python:3.11.v7`."""
    return f"INIT_START Runtime Version: {version}\tRuntime Version ARN: {arn}"


def init_report(
    init_ms: float,
    phase: Literal["init", "invoke"],
    status: Literal["timeout", "error"],
    error_type: str | None = None,
) -> str:
    """Written only where an init went wrong. phase: `invoke` for one that was tried again."""
    line = f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: {phase}\tStatus: {status}"
    return line if error_type is None else f"{line}\tError Type: {error_type}"


def start(request_id: str, version: str) -> str:
    return f"START RequestId: {request_id} Version: {version}"


def end(request_id: str) -> str:
    return f"END RequestId: {request_id}"


def report(measured: Report) -> str:
    """The trailing tab is AWS's own."""
    fields = [
        f"REPORT RequestId: {measured.request_id}",
        f"Duration: {measured.duration_ms:.2f} ms",
        f"Billed Duration: {measured.billed_ms} ms",
        f"Memory Size: {measured.memory_mb} MB",
        f"Max Memory Used: {measured.max_memory_mb} MB",
    ]
    if measured.init_ms is not None:
        fields.append(f"Init Duration: {measured.init_ms:.2f} ms")
    if measured.timed_out:
        fields.append("Status: timeout")
    elif measured.error_type is not None:
        fields += ["Status: error", f"Error Type: {measured.error_type}"]
    return "\t".join(fields) + "\t"


def timed_out(request_id: str, timeout_s: float, now: datetime) -> str:
    moment = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{moment} {request_id} Task timed out after {timeout_s:.2f} seconds"


def stream_name(version: str, unique: str, now: datetime) -> str:
    """unique: 32 hexadecimal digits, an environment's own."""
    return f"{now:%Y/%m/%d}/[{version}]{unique}"
