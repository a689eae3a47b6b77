"""What runs in a cloud, whosever it is: for `fogbank cloud status`. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.aws import Aws, explained
from fogbank.ops.running_jobs import running_training_jobs, running_tunings, trials_of


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
        jobs = {name for name, _ in running_training_jobs(aws)}
        tunings = {name for name, _ in running_tunings(aws)}
        trials = trials_of(aws, tunings)
    return Activity(
        endpoints=endpoints,
        running_jobs=tuple(sorted(jobs - trials)),
        running_tunings=tuple(sorted(tunings)),
    )
