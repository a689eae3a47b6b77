"""CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs, StopTrainingJob."""

from __future__ import annotations

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError, ValidationException
from fogbank.cloud.ports import Objects, Records
from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.rules import training_job as rules
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.sagemaker.listing import Entry, page
from fogbank.cloud.services.sagemaker.refusals import RoleExists, refuse_unsupported
from fogbank.cloud.services.sagemaker.tags import new_tags
from fogbank.cloud.services.sagemaker.training_description import (
    describe_training_job,
    summarize_training_job,
)
from fogbank.cloud.services.sagemaker.training_input import check_training_job
from fogbank.core.arn import Scope


class TrainingJobs:
    """Training jobs as intent: a machine sees the records and runs them."""

    def __init__(
        self, *, records: Records, scope: Scope, objects: Objects, role_exists: RoleExists
    ) -> None:
        self._records = records
        self._scope = scope
        self._objects = objects
        self._role_exists = role_exists

    @operation("CreateTrainingJob")
    def create(self, context: Context, params: Params) -> Result:
        name: str = params["TrainingJobName"]
        arn = self._scope.arn("sagemaker", f"training-job/{name}")
        if self._records.get(TrainingJob, name) is not None:
            raise ServiceError(
                "ResourceInUse",
                "Training job names must be unique within an AWS account and region, and a "
                f"training job with this name already exists ({arn})",
            )
        check_training_job(
            params,
            region=self._scope.region,
            objects=self._objects,
            role_exists=self._role_exists,
        )
        job = rules.new_training_job(arn, params, context.received)
        self._records.put(job, *new_tags(arn, params))
        return {"TrainingJobArn": arn}

    @operation("DescribeTrainingJob")
    def describe(self, context: Context, params: Params) -> Result:
        return describe_training_job(self._job(params), self._scope)

    @operation("ListTrainingJobs")
    def list(self, context: Context, params: Params) -> Result:
        refuse_unsupported(
            params, ("WarmPoolStatusEquals", "TrainingPlanArnEquals"), "ListTrainingJobs"
        )
        entries = (
            Entry(job.name, job.created, summarize_training_job(job), job.modified, job.status)
            for job in self._records.all(TrainingJob)
        )
        return page(params, entries, default_order="Ascending").answer("TrainingJobSummaries")

    @operation("StopTrainingJob")
    def stop(self, context: Context, params: Params) -> Result:
        """A machine sends SIGTERM; the answer does not wait for it."""
        job = self._job(params)
        if job.is_final:
            raise ValidationException(
                f"The request was rejected because the training job is in status {job.status}."
            )
        self._records.put(rules.stop(job, context.received))
        return {}

    def _job(self, params: Params) -> TrainingJob:
        job = self._records.get(TrainingJob, params["TrainingJobName"])
        if job is None:
            raise ValidationException("Requested resource not found.")
        return job
