"""Provisioned concurrency: how many environments of which version there should be, and its status.

In: the record, the versions that its qualifier leads to, the environments seen, and whether one
could not be initialised. Out: the record as it is then, what to start and what to stop. Source:
"Configuring provisioned concurrency for a function" (Lambda Developer Guide).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fogbank.cloud.records.function import LATEST, Alias, ProvisionedConcurrency

INIT_FAILURE = "FUNCTION_ERROR_INIT_FAILURE"
"""StatusReason of an environment whose init ended in an error or took too long."""


@dataclass(frozen=True, slots=True)
class EnvironmentSeen:
    """ready: its init is over. current: it runs what the version's record says now."""

    id: str
    version: str
    ready: bool
    current: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """start: how many of which version. stop: environments, by id."""

    record: ProvisionedConcurrency
    reason: str
    start: Mapping[str, int] = field(default_factory=dict)
    stop: tuple[str, ...] = ()


def split(requested: int, alias: Alias | None, qualifier: str) -> dict[str, int]:
    """How many environments of which version: those of a weighted alias are shared out by weight,
    whole ones, the rest to the largest remainders."""
    if alias is None:
        return {qualifier: requested}
    shares = {version: weight for version, weight in alias.weights.items() if weight > 0}
    shares[alias.version] = max(0.0, 1.0 - sum(shares.values()))
    exact = {version: requested * share for version, share in shares.items()}
    counts = {version: int(value) for version, value in exact.items()}
    rest = requested - sum(counts.values())
    by_remainder = sorted(exact, key=lambda version: (counts[version] - exact[version], version))
    for version in by_remainder[:rest]:
        counts[version] += 1
    return {version: count for version, count in counts.items() if count}


def next_step(
    record: ProvisionedConcurrency,
    wanted: Mapping[str, int],
    seen: Sequence[EnvironmentSeen],
    failure: str | None,
) -> Decision:
    """What to do now.

    wanted:  what `split` answered.
    failure: why the last environment could not be initialised, since the record or its target
             changed; nothing more is started then, as the next one would fail, too.
    """
    if LATEST in wanted:
        reason = "Provisioned Concurrency Configs cannot be applied to unpublished versions."
        failed = replace(record, allocated=0, available=0, status="FAILED", status_reason=reason)
        return Decision(failed, reason, stop=tuple(one.id for one in seen))
    kept: list[EnvironmentSeen] = []
    stop: list[str] = []
    room = Counter(wanted)
    for one in sorted(seen, key=lambda one: not one.ready):  # those that wait already stay
        if one.current and room[one.version] > 0:
            room[one.version] -= 1
            kept.append(one)
        else:
            stop.append(one.id)
    start = {} if failure else {version: count for version, count in room.items() if count > 0}
    available = sum(one.ready for one in kept)
    described = replace(record, allocated=len(kept), available=available, status_reason=None)
    if available >= record.requested:
        described = replace(described, status="READY", allocated=available)
        reason = f"{available} initialised"
    elif failure and len(kept) == available:
        described = replace(described, status="FAILED", status_reason=failure)
        reason = f"{available} of {record.requested}: {failure}"
    else:
        described = replace(described, status="IN_PROGRESS")
        reason = f"{available} of {record.requested} initialised"
    return Decision(described, reason, start, tuple(stop))
