"""What runs in a cloud, whosever it is: for `fogbank cloud status`. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.aws import Aws, explained
from fogbank.ops.search import RUNNING


@dataclass(frozen=True, kw_only=True)
class Activity:
    """endpoints: name -> status. running_jobs, running_tunings: names of training jobs (but for
    those of tuning jobs that run) and of tuning jobs."""

    endpoints: dict[str, str]
    running_jobs: tuple[str, ...]
    running_tunings: tuple[str, ...]


def observe_activity(aws: Aws) -> Activity:
    """Every endpoint, and every training and tuning job that has not ended."""
    sagemaker = aws.sagemaker
    with explained("look at what runs", aws.url):
        endpoints: dict[str, str] = {
            item["EndpointName"]: item["EndpointStatus"]
            for page in sagemaker.get_paginator("list_endpoints").paginate()
            for item in page["Endpoints"]
        }
        jobs = [
            item["TrainingJobName"]
            for status in RUNNING
            for page in sagemaker.get_paginator("list_training_jobs").paginate(
                StatusEquals=status  # type: ignore[arg-type]
            )
            for item in page["TrainingJobSummaries"]
        ]
        tunings = [
            item["HyperParameterTuningJobName"]
            for status in RUNNING
            for page in sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
                StatusEquals=status  # type: ignore[arg-type]
            )
            for item in page["HyperParameterTuningJobSummaries"]
        ]
        trials = {
            trial["TrainingJobName"]
            for name in tunings
            for page in sagemaker.get_paginator(
                "list_training_jobs_for_hyper_parameter_tuning_job"
            ).paginate(HyperParameterTuningJobName=name)
            for trial in page["TrainingJobSummaries"]
        }
    return Activity(
        endpoints=endpoints,
        running_jobs=tuple(sorted(set(jobs) - trials)),
        running_tunings=tuple(sorted(tunings)),
    )
