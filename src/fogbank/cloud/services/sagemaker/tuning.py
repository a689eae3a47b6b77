"""CreateHyperParameterTuningJob, DescribeHyperParameterTuningJob, ListHyperParameterTuningJobs,
ListTrainingJobsForHyperParameterTuningJob, StopHyperParameterTuningJob,
DeleteHyperParameterTuningJob."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError, ValidationException
from fogbank.cloud.ports import Objects, Records
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.records.tuning_job import TuningJob
from fogbank.cloud.rules import tuning_job as rules
from fogbank.cloud.rules.tuning_settings import read_settings
from fogbank.cloud.rules.tuning_trial import Child, best, children_of
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.sagemaker.listing import Entry, page
from fogbank.cloud.services.sagemaker.refusals import RoleExists
from fogbank.cloud.services.sagemaker.tags import new_tags
from fogbank.cloud.services.sagemaker.tuning_description import (
    describe_tuning_job,
    summarize_child,
    summarize_tuning_job,
)
from fogbank.cloud.services.sagemaker.tuning_input import check_definitions, check_search, inherited
from fogbank.core.arn import Scope


class TuningJobs:
    """Tuning jobs as intent: a machine sees the records and launches training jobs."""

    def __init__(
        self,
        *,
        records: Records,
        scope: Scope,
        objects: Objects,
        role_exists: RoleExists,
        search_model_exists: Callable[[], bool],
    ) -> None:
        self._records = records
        self._scope = scope
        self._objects = objects
        self._role_exists = role_exists
        self._search_model_exists = search_model_exists

    @operation("CreateHyperParameterTuningJob")
    def create(self, context: Context, params: Params) -> Result:
        name: str = params["HyperParameterTuningJobName"]
        arn = self._scope.arn("sagemaker", f"hyper-parameter-tuning-job/{name}")
        # "The name is not case sensitive" (API reference).
        if any(job.name.lower() == name.lower() for job in self._records.all(TuningJob)):
            raise ServiceError(
                "ResourceInUse",
                "Hyperparameter tuning job names must be unique within an AWS account and region, "
                f"and a hyperparameter tuning job with this name already exists ({arn})",
            )
        settings = read_settings(params)
        check_search(settings, self._search_model_exists)
        check_definitions(
            settings,
            region=self._scope.region,
            objects=self._objects,
            role_exists=self._role_exists,
        )
        asked = params["HyperParameterTuningJobConfig"].get("RandomSeed")
        job = TuningJob(
            name=name,
            arn=arn,
            request=dict(params),
            status="InProgress",
            created=context.received,
            modified=context.received,
            seed=_seed(arn, context) if asked is None else asked,
            inherited=inherited(params, settings, self._parent),
        )
        self._records.put(job, *new_tags(arn, params))
        return {"HyperParameterTuningJobArn": arn}

    @operation("DescribeHyperParameterTuningJob")
    def describe(self, context: Context, params: Params) -> Result:
        job = self._job(params)
        settings = read_settings(job.request)
        children = self._children(job)
        overall = None
        warm_start = job.request.get("WarmStartConfig")
        if warm_start and warm_start["WarmStartType"] == "IdenticalDataAndAlgorithm":
            overall = self._best_of_family(job, children, maximize=settings.maximize)
        return describe_tuning_job(job, settings, children, overall, context.received)

    def _best_of_family(
        self, job: TuningJob, children: Iterable[Child], *, maximize: bool
    ) -> tuple[TuningJob, Child] | None:
        """The best trial of the job and its parents, and whose it is."""
        family = [(job, child) for child in children]
        for name in _parent_names(job.request):
            parent = self._records.get(TuningJob, name)
            if parent is not None:  # it may have been deleted
                family += [(parent, child) for child in self._children(parent)]
        top = best((child for _, child in family), maximize=maximize)
        return next(((owner, child) for owner, child in family if child is top), None)

    @operation("ListHyperParameterTuningJobs")
    def list_tuning_jobs(self, context: Context, params: Params) -> Result:
        entries = (
            Entry(
                job.name,
                job.created,
                summarize_tuning_job(job, self._children(job)),
                job.modified,
                job.status,
            )
            for job in self._records.all(TuningJob)
        )
        return page({"SortBy": "Name", **params}, entries, default_order="Ascending").answer(
            "HyperParameterTuningJobSummaries"
        )

    @operation("ListTrainingJobsForHyperParameterTuningJob")
    def list_training_jobs(self, context: Context, params: Params) -> Result:
        job = self._job(params)
        asked = {"SortBy": "Name", **params}
        return page(asked, self._entries(job, asked), default_order="Ascending").answer(
            "TrainingJobSummaries"
        )

    def _entries(self, job: TuningJob, asked: Mapping[str, Any]) -> Iterator[Entry]:
        """Sorted by objective, jobs without one are left out (API reference)."""
        settings = read_settings(job.request)
        by_objective = asked["SortBy"] == "FinalObjectiveMetricValue"
        for child in self._children(job):
            if by_objective and child.objective is None:
                continue
            yield Entry(
                child.job.name,
                child.job.created,
                summarize_child(child, settings),
                child.job.modified,
                child.job.status,
                child.objective or 0.0,
            )

    @operation("StopHyperParameterTuningJob")
    def stop(self, context: Context, params: Params) -> Result:
        """A machine stops the training jobs; the answer does not wait for it."""
        job = self._job(params)
        if job.is_final:
            raise ValidationException(
                "The request was rejected because the hyperparameter tuning job is in status "
                f"{job.status}."
            )
        self._records.put(rules.stop(job, context.received))
        return {}

    @operation("DeleteHyperParameterTuningJob")
    def delete(self, context: Context, params: Params) -> Result:
        """The entry and its tags; training jobs and their models stay."""
        job = self._job(params)
        if not job.is_final:
            raise ValidationException(
                "The request was rejected because the hyperparameter tuning job is in status "
                f"{job.status}. Stop it, and delete it once it is Stopped."
            )
        with self._records.transaction():
            self._records.delete(TuningJob, job.name)
            self._records.delete(Tags, job.arn)
        return {}

    def _job(self, params: Params) -> TuningJob:
        name: str = params["HyperParameterTuningJobName"]
        job = self._records.get(TuningJob, name)
        if job is None:
            raise ServiceError(
                "ResourceNotFound",
                f"Amazon SageMaker can't find a tuning job called {name}. Type another name.",
            )
        return job

    def _parent(self, name: str) -> tuple[TuningJob, list[Child]] | None:
        parent = self._records.get(TuningJob, name)
        return None if parent is None else (parent, self._children(parent))

    def _children(self, job: TuningJob) -> list[Child]:
        return children_of(job, lambda name: self._records.get(TrainingJob, name))


def _parent_names(request: Mapping[str, Any]) -> list[str]:
    parents = request.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", ())
    return [parent["HyperParameterTuningJobName"] for parent in parents]


def _seed(arn: str, context: Context) -> int:
    """For a job without RandomSeed: two jobs search differently, also two of one name."""
    text = f"{arn} {context.received.isoformat()} {context.request_id}"
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big")
