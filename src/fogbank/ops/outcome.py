"""What a project has come to: the facts that `up`, `train`, `deploy` and `status` show. Pure.

Comes in: a blueprint and what was observed. Goes out: one frozen record, which is also the
machine-readable output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.ops import scaling_review
from fogbank.ops.blueprint import Blueprint
from fogbank.ops.instance_quota import InstanceQuota
from fogbank.ops.kinds import data, scaling, training_job, tuning_job
from fogbank.ops.observe import Observed
from fogbank.ops.plan import Goal, plan
from fogbank.ops.tuned import FILE_NAME, Choice

_ACCURACIES = ("test_accuracy", "valid_accuracy")
"""The more honest one first: the test split took no part in choosing the model."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Where things are, and how good the model is."""

    project: str
    data_uri: str
    num_objects: int
    """Under data_uri."""
    job: training_job.Found | None
    """The latest attempt at training what is in the project now."""
    tuning: tuning_job.Found | None
    """The latest attempt at the search that fogbank.yaml describes."""
    choice: Choice
    """The hyperparameters that training gets."""
    remarks: tuple[str, ...]
    """What a person should know about tuned.yaml; mostly nothing."""
    endpoint: str
    endpoint_status: str | None
    """None where there is no endpoint."""
    endpoint_reason: str
    endpoint_is_behind: bool
    """Whether it serves another model, code or settings than the project has now."""
    scaling: Mapping[str, Any] | None
    """How many instances may serve and what decides it; None where the endpoint is not scaled."""
    scaling_remarks: tuple[str, ...]
    """What a person should know about endpoint.scaling; mostly nothing."""
    function_name: str
    """Of the function that the spec puts in front of it; "" without one."""
    function: Mapping[str, Any] | None
    """The function, as JSON has it; None where there is none."""
    to_do: tuple[str, ...]
    """What `fogbank up` would do now; nothing where all is as the project says."""

    @property
    def accuracy(self) -> tuple[str, float] | None:
        """("test_accuracy", 0.97), where the job told one."""
        metrics: Mapping[str, float] = self.job.metrics if self.job else {}
        return next(((name, metrics[name]) for name in _ACCURACIES if name in metrics), None)

    def to_json(self) -> dict[str, Any]:
        job = self.job
        return {
            "project": self.project,
            "data": {"uri": self.data_uri, "num_objects": self.num_objects},
            "training_job": {
                "name": job.name,
                "status": job.status,
                "failure_reason": job.reason or None,
                "model_uri": job.model_uri if job.has_result else None,
                "metrics": dict(job.metrics),
                "training_seconds": job.seconds,
                "warning": job.warning or None,
            }
            if job
            else None,
            "tuning_job": self.tuning.to_json() if self.tuning else None,
            "hyperparameters": self.choice.to_json(),
            "remarks": list(self.remarks),
            "endpoint": {
                "name": self.endpoint,
                "status": self.endpoint_status,
                "failure_reason": self.endpoint_reason or None,
                "is_behind": self.endpoint_is_behind,
                "scaling": self.scaling,
                "scaling_remarks": list(self.scaling_remarks),
            },
            "function": self.function,
            "to_do": list(self.to_do),
        }


def outcome(
    blueprint: Blueprint, observed: Observed, *, quota: InstanceQuota | None = None
) -> Outcome:
    """quota: of the endpoint's instances; None where nobody has looked."""
    names = blueprint.names
    endpoint = observed.endpoint
    front = observed.front
    is_fronted = front is not None and (
        blueprint.spec.function is not None or front.is_of(names.project)
    )
    steps = plan(blueprint, observed, Goal.FRONTED)
    return Outcome(
        project=names.project,
        data_uri=names.s3_uri(data.PREFIX),
        num_objects=len(observed.data),
        job=observed.jobs[-1] if observed.jobs else None,
        tuning=observed.tunings[-1] if observed.tunings else None,
        choice=blueprint.choice,
        remarks=tuple(_remarks(blueprint)),
        endpoint=names.endpoint,
        endpoint_status=endpoint.status if endpoint else None,
        endpoint_reason=endpoint.reason if endpoint else "",
        endpoint_is_behind=any(step.kind == "endpoint" and step.verb == "update" for step in steps),
        scaling=_scaling(observed.scaling),
        scaling_remarks=scaling_review.remarks(
            blueprint.spec.endpoint, blueprint.capacity, found=observed.scaling, quota=quota
        ),
        function_name=names.function if blueprint.spec.function else "",
        function=front.to_json(names.function) if front and is_fronted else None,
        to_do=tuple(step.message for step in steps),
    )


def _scaling(found: scaling.Found | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "min": found.minimum,
        "max": found.maximum,
        "target": found.target,
        "metric": found.metric,
        "suspended": bool(found.suspended),
    }


def _remarks(blueprint: Blueprint) -> Iterator[str]:
    """tuned.yaml goes on being used when the project changes: its values are likely to be good
    still, and fogbank.yaml's are no better for a change. But it has to be said."""
    tuned = blueprint.tuned
    if tuned is None:
        return
    if blueprint.spec.tune is not None and not blueprint.is_tuned_for_this:
        yield (
            f"{FILE_NAME} was found by {tuned.tuning_job} with other data, code, settings or "
            "ranges; `fogbank tune` searches again"
        )
    for name, why in blueprint.choice.unused.items():
        yield f"{FILE_NAME}: {name} is not used: {why}"
