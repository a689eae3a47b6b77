"""Which training jobs and tuning jobs have not ended, whosever they are. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fogbank.aws import Aws
from fogbank.ops.attempts import RUNNING

Listed = Iterator[tuple[str, str]]
"""Names and ARNs."""


def running_tunings(aws: Aws, *, name_contains: str | None = None) -> Listed:
    """Tuning jobs; of all names, or those that contain that."""
    narrowed = {} if name_contains is None else {"NameContains": name_contains}
    pages = aws.sagemaker.get_paginator("list_hyper_parameter_tuning_jobs")
    for status in RUNNING:
        for page in pages.paginate(StatusEquals=status, **narrowed):  # type: ignore[arg-type]
            for item in page["HyperParameterTuningJobSummaries"]:
                yield item["HyperParameterTuningJobName"], item["HyperParameterTuningJobArn"]


def running_training_jobs(aws: Aws, *, name_contains: str | None = None) -> Listed:
    """Training jobs; of all names, or those that contain that. Trials of tuning jobs among them."""
    narrowed = {} if name_contains is None else {"NameContains": name_contains}
    pages = aws.sagemaker.get_paginator("list_training_jobs")
    for status in RUNNING:
        for page in pages.paginate(StatusEquals=status, **narrowed):  # type: ignore[arg-type]
            for item in page["TrainingJobSummaries"]:
                yield item["TrainingJobName"], item["TrainingJobArn"]


def trials_of(aws: Aws, tunings: Iterable[str]) -> set[str]:
    """Names of the training jobs that those tuning jobs have launched."""
    pages = aws.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    return {
        trial["TrainingJobName"]
        for tuning in tunings
        for page in pages.paginate(HyperParameterTuningJobName=tuning)
        for trial in page["TrainingJobSummaries"]
    }
