"""Tuning jobs whose trials say what they did and when."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.jobs import IMAGE, archive
from harness.servers import Server

MARK = "BENCHMARK "
"""What a script prints before its facts, one JSON object."""

_BUCKET = "benchmark-tuning"
_POLL_S = 0.5
_LIMIT_S = 300


@dataclass(frozen=True, kw_only=True)
class Trial:
    """hyperparameters: those that were searched. facts: what its script printed."""

    name: str
    hyperparameters: Mapping[str, str]
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Search:
    """began: when CreateHyperParameterTuningJob was sent, seconds since the epoch. seconds: from
    then to the end that the record has. trials: in the order in which they were launched."""

    began: float
    seconds: float
    trials: tuple[Trial, ...]


class TuningJobs:
    """Runs one tuning job at a time; a fresh bucket and the script are put there first."""

    def __init__(self, cloud: Server, script: str) -> None:
        self._sagemaker = cloud.client("sagemaker")
        self._logs = cloud.client("logs")
        self._role = cloud.facts["role"]
        self._num = 0
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=_BUCKET)
        s3.put_object(Bucket=_BUCKET, Key="code.tar.gz", Body=archive({"hpo.py": script}))

    def run(
        self, *, num_trials: int, parallel: int, strategy: str, ranges: Mapping[str, Any]
    ) -> Search:
        """Minimizes what the script prints after `Loss: `. Raises RuntimeError where not every
        trial completes. The seed is always the same: so are the trials."""
        self._num += 1
        name = f"search-{self._num}"
        began = time.time()
        self._sagemaker.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name,
            HyperParameterTuningJobConfig={
                "Strategy": strategy,
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
                "ResourceLimits": {
                    "MaxNumberOfTrainingJobs": num_trials,
                    "MaxParallelTrainingJobs": parallel,
                },
                "ParameterRanges": ranges,
                "RandomSeed": 7,
            },
            TrainingJobDefinition=self._definition(),
        )
        job = self._ended(name)
        found = self._sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, MaxResults=100
        )["TrainingJobSummaries"]
        if [trial["TrainingJobStatus"] for trial in found] != ["Completed"] * num_trials:
            raise RuntimeError(f"{name}: {job['TrainingJobStatusCounters']}")
        return Search(
            began=began,
            seconds=job["HyperParameterTuningEndTime"].timestamp() - began,
            trials=tuple(self._trial(trial) for trial in found),
        )

    def _definition(self) -> dict[str, Any]:
        return {
            "StaticHyperParameters": {
                "sagemaker_program": "hpo.py",
                "sagemaker_submit_directory": f"s3://{_BUCKET}/code.tar.gz",
            },
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "Loss: ([0-9.]+)"}],
            },
            "RoleArn": self._role,
            "OutputDataConfig": {"S3OutputPath": f"s3://{_BUCKET}/out"},
            "HyperParameterTuningResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": _LIMIT_S},
        }

    def _ended(self, name: str) -> dict[str, Any]:
        limit = time.monotonic() + _LIMIT_S
        while time.monotonic() < limit:
            time.sleep(_POLL_S)  # seldom: asking costs the processors that the trials want
            job: dict[str, Any] = self._sagemaker.describe_hyper_parameter_tuning_job(
                HyperParameterTuningJobName=name
            )
            if job["HyperParameterTuningJobStatus"] == "Completed":
                return job
            if job["HyperParameterTuningJobStatus"] != "InProgress":
                raise RuntimeError(f"{name}: {job.get('FailureReason', 'was stopped')}")
        raise RuntimeError(f"{name} did not end in {_LIMIT_S} s")

    def _trial(self, summary: Mapping[str, Any]) -> Trial:
        name = summary["TrainingJobName"]
        events = self._logs.filter_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs",
            logStreamNamePrefix=f"{name}/",
            filterPattern=MARK.strip(),
        )["events"]
        return Trial(
            name=name,
            hyperparameters=summary["TunedHyperParameters"],
            facts=facts_of([event["message"] for event in events]),
        )


def facts_of(lines: list[str]) -> dict[str, Any]:
    """What a script printed behind MARK. Raises RuntimeError where it printed nothing."""
    for line in lines:
        if line.startswith(MARK):
            facts: dict[str, Any] = json.loads(line.removeprefix(MARK))
            return facts
    raise RuntimeError(f"the script did not say what it did: {lines[-5:]}")
