"""What a project has come to: the facts that `up`, `train`, `deploy` and `status` show. Pure.

Comes in: a blueprint and what was observed. Goes out: one frozen record, which is also the
machine-readable output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.ops.blueprint import Blueprint
from fogbank.ops.kinds import data, training_job
from fogbank.ops.observe import Observed
from fogbank.ops.plan import Goal, plan

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
    endpoint: str
    endpoint_status: str | None
    """None where there is no endpoint."""
    endpoint_reason: str
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
                "model_uri": job.model_uri if job.is_trained else None,
                "metrics": dict(job.metrics),
                "training_seconds": job.seconds,
            }
            if job
            else None,
            "endpoint": {
                "name": self.endpoint,
                "status": self.endpoint_status,
                "failure_reason": self.endpoint_reason or None,
            },
            "to_do": list(self.to_do),
        }


def outcome(blueprint: Blueprint, observed: Observed) -> Outcome:
    names = blueprint.names
    endpoint = observed.endpoint
    return Outcome(
        project=names.project,
        data_uri=names.s3_uri(data.PREFIX),
        num_objects=len(observed.data),
        job=observed.jobs[-1] if observed.jobs else None,
        endpoint=names.endpoint,
        endpoint_status=endpoint.status if endpoint else None,
        endpoint_reason=endpoint.reason if endpoint else "",
        to_do=tuple(step.message for step in plan(blueprint, observed, Goal.DEPLOYED)),
    )
