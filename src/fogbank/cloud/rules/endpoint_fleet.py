"""The containers of a fleet of variants: (variants, what the machine sees, now) -> what to start
and stop so that each has `desired_count`, and why it will never have them.

Here are the words in which the machine tells what it sees, and is told what to do; what becomes of
the endpoint is decided in `rules.endpoint`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from fogbank.cloud.records.hosting import Variant
from fogbank.cloud.rules.deployment import AlarmSeen

STARTUP_TIMEOUT_S = 480
"""How long a container may take to its first good ping, where the variant does not set
ContainerStartupHealthCheckTimeoutInSeconds (developer guide: 8 minutes)."""

START_ATTEMPTS = 2
"""Containers of a new variant that may end before its first good ping; then the deployment has
failed. AWS goes on until the time-out: a rehearsal should say so sooner."""

BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 60.0

PROVISION_TIMEOUT_S = 2040
"""How long an instance may take to come where the variant does not set
VariantInstanceProvisionTimeoutInSeconds (observed: a scale-out gave up after 34 minutes)."""

NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. "
    "Please retry using a different ML instance type or after some time."
)

ReplicaState = Literal["provisioning", "starting", "healthy", "unhealthy"]
"""provisioning: its instance has not come.  starting: no good ping yet.  healthy: takes requests.
unhealthy: pings fail since `since`."""


@dataclass(frozen=True, kw_only=True)
class ReplicaSeen:
    """One container that runs (one that ended is not here, but in `VariantSeen.failures`).

    variant, generation: the `Variant` that it was started for.
    since:               when it entered its state; of `starting`: when it was started.
    """

    id: str
    variant: str
    generation: int
    state: ReplicaState
    since: datetime


@dataclass(frozen=True, kw_only=True)
class VariantSeen:
    """The troubles of one deployed variant.

    failures:     containers that ended or were given up since one of the variant last became
                  healthy (each `Stop` with `failed` counts).
    last_failure: when the last of them was.
    last_words:   how the last of them ended, with the last lines of its log.
    refused:      why no attempt can ever work (model data is no tar, is not there, ...).
    short_s:      for how long there have been fewer instances than were asked for.
    """

    variant: str
    generation: int
    failures: int = 0
    last_failure: datetime | None = None
    last_words: str = ""
    refused: str | None = None
    short_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What the machine sees of one endpoint.

    replicas:   those that run, without those that were stopped.
    leaving:    (name, generation) of variants of which stopped replicas have not ended yet: they
                finish their requests.
    alarms:     those that the update under way watches and that are in state ALARM.
    time_scale: how many times faster than real time a deployment's waits pass.
    """

    replicas: tuple[ReplicaSeen, ...] = ()
    variants: tuple[VariantSeen, ...] = ()
    leaving: frozenset[tuple[str, int]] = frozenset()
    alarms: tuple[AlarmSeen, ...] = ()
    time_scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Start:
    """Start `count` containers for `variant` (its `name` and `generation` name it)."""

    variant: Variant
    count: int


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Take the replica out of routing, let its requests end, end it.

    failed: it did not do its work: counts as a failure of its variant.
    """

    replica_id: str
    reason: str
    failed: bool = False


def backoff_s(failures: int) -> float:
    """Seconds to wait after that many failures in a row: 0, then 1, 2, 4 ... 60."""
    if failures <= 0:
        return 0.0
    return float(min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 16)))


def startup_timeout_s(variant: Variant) -> int:
    """ContainerStartupHealthCheckTimeoutInSeconds of the variant, or the default."""
    settings = variant.settings or {}
    return int(settings.get("ContainerStartupHealthCheckTimeoutInSeconds") or STARTUP_TIMEOUT_S)


def provision_timeout_s(variant: Variant) -> int:
    """VariantInstanceProvisionTimeoutInSeconds of the variant, or the default."""
    settings = variant.settings or {}
    return int(settings.get("VariantInstanceProvisionTimeoutInSeconds") or PROVISION_TIMEOUT_S)


@dataclass
class Work:
    """What it takes to have `desired_count` containers of some variants. waits: look again then."""

    start: list[Start] = field(default_factory=list)
    stop: list[Stop] = field(default_factory=list)
    waits: list[datetime] = field(default_factory=list)

    def wait_until(self) -> datetime | None:
        return min(self.waits, default=None)


def work_for(variants: Iterable[Variant], seen: Observation, now: datetime) -> Work:
    """Start what is missing, replace what is sick, end what is too many."""
    work = Work()
    for variant in variants:
        limit = timedelta(seconds=startup_timeout_s(variant))
        alive: list[ReplicaSeen] = []
        for replica in _of(variant, seen):
            if replica.state == "unhealthy":
                work.stop.append(Stop(replica_id=replica.id, reason="pings failed", failed=True))
            elif replica.state == "starting" and now - replica.since >= limit:
                work.stop.append(
                    Stop(replica_id=replica.id, reason="start-up time-out", failed=True)
                )
            else:
                alive.append(replica)
                if replica.state == "starting":
                    work.waits.append(replica.since + limit)
        missing = variant.desired_count - len(alive)
        if missing > 0:
            due = _due(_health(variant, seen))
            if due is None or now >= due:
                work.start.append(Start(variant=variant, count=missing))
            else:
                work.waits.append(due)
        for replica in sorted(alive, key=_seniority)[variant.desired_count :]:
            work.stop.append(Stop(replica_id=replica.id, reason="scaled in"))
    return work


def _seniority(replica: ReplicaSeen) -> tuple[bool, datetime, str]:
    """Healthy and oldest first: scaling in ends what has not started yet, then the newest."""
    return replica.state != "healthy", replica.since, replica.id


def _due(health: VariantSeen) -> datetime | None:
    if health.last_failure is None:
        return None
    return health.last_failure + timedelta(seconds=backoff_s(health.failures))


def unwanted(variants: Iterable[Variant], seen: Observation) -> list[Stop]:
    """End what runs for other variants than these."""
    wanted = {(variant.name, variant.generation) for variant in variants}
    return [
        Stop(replica_id=replica.id, reason="replaced")
        for replica in seen.replicas
        if (replica.variant, replica.generation) not in wanted
    ]


def is_whole(variants: Iterable[Variant]) -> bool:
    """Whether all containers are healthy; `variants` are `counted`."""
    return all(variant.current_count >= variant.desired_count for variant in variants)


def counted(variants: Iterable[Variant], seen: Observation) -> tuple[Variant, ...]:
    """The variants with what really serves; a weight takes effect at once."""
    return tuple(
        replace(
            variant,
            current_count=sum(r.state == "healthy" for r in _of(variant, seen)),
            current_weight=variant.desired_weight,
        )
        for variant in variants
    )


def _of(variant: Variant, seen: Observation) -> list[ReplicaSeen]:
    return [
        replica
        for replica in seen.replicas
        if (replica.variant, replica.generation) == (variant.name, variant.generation)
    ]


def _health(variant: Variant, seen: Observation) -> VariantSeen:
    for health in seen.variants:
        if (health.variant, health.generation) == (variant.name, variant.generation):
            return health
    return VariantSeen(variant=variant.name, generation=variant.generation)


def trouble_of(
    variant: Variant, seen: Observation, now: datetime, *, since: datetime | None = None
) -> str:
    """Why the variant will not get its containers; empty while there is hope. Failures before
    `since` are forgiven."""
    health = _health(variant, seen)
    recent = since is None or (health.last_failure is not None and health.last_failure >= since)
    if health.refused and recent:
        return health.refused
    if health.failures >= START_ATTEMPTS and recent:
        return ping_failure(variant.name, health.last_words)
    limit = timedelta(seconds=startup_timeout_s(variant))
    for replica in _of(variant, seen):
        if replica.state == "starting" and now - replica.since >= limit:
            return ping_failure(
                variant.name,
                f"no good answer on /ping within {startup_timeout_s(variant)} s of the start. "
                f"{health.last_words}".strip(),
            )
    return ""


def is_short(variant: Variant, seen: Observation) -> bool:
    """Whether to give up waiting for instances."""
    return _health(variant, seen).short_s >= provision_timeout_s(variant)


def ping_failure(variant: str, last_words: str) -> str:
    """AWS's FailureReason for containers that do not come up, and then what AWS leaves out."""
    reason = (
        f"The primary container for production variant {variant} did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )
    return f"{reason} The container's last words: {last_words}" if last_words else reason
