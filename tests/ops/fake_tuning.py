"""The part of `fake_aws.FakeSageMaker` that has to do with tuning jobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ops.refusal import refusal

_CONFIG = "HyperParameterTuningJobConfig"
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def _values(ranges: Mapping[str, Any], number: int, count: int) -> dict[str, str]:
    """What trial `number` of `count` tries: from one end of each range to the other."""
    found = {}
    for entries in ranges.values():
        for entry in entries:
            if "Values" in entry:
                found[entry["Name"]] = entry["Values"][number % len(entry["Values"])]
            else:
                low, high = float(entry["MinValue"]), float(entry["MaxValue"])
                found[entry["Name"]] = f"{low + (high - low) * number / count:g}"
    return found


class FakeTuningJobs:
    """jobs: training jobs, trials among them. fail_jobs: all trials fail, not just the second."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.tunings: dict[str, dict[str, Any]] = {}
        self.fail_jobs = False

    def create_hyper_parameter_tuning_job(self, **request: Any) -> None:
        """Its trials run at once and end when it does, the second one failing."""
        name = request["HyperParameterTuningJobName"]
        if name in self.tunings:
            raise refusal("CreateHyperParameterTuningJob", "ResourceInUse")
        self.tunings[name] = {**request, "status": "InProgress", "looks": 0}
        for number in range(
            1, request[_CONFIG]["ResourceLimits"].get("MaxNumberOfTrainingJobs", 1) + 1
        ):
            job = {**request["TrainingJobDefinition"], "Tags": request["Tags"]}
            self.jobs[f"{name}-{number:03}-0a1b2c3d"] = {
                "request": job,
                "status": "InProgress",
                "looks": -1_000_000,
            }

    def describe_hyper_parameter_tuning_job(
        self, *, HyperParameterTuningJobName: str
    ) -> dict[str, Any]:
        job = self.tunings[HyperParameterTuningJobName]
        answer = {
            "HyperParameterTuningJobName": HyperParameterTuningJobName,
            "HyperParameterTuningJobStatus": job["status"],
            "CreationTime": _MOMENT,
            _CONFIG: job[_CONFIG],
        }
        if job["status"] == "Failed":
            answer["FailureReason"] = "No training job succeeded after 5 attempts. it raised"
        job["looks"] += 1
        if job["status"] == "Stopping":
            self._end_tuning(HyperParameterTuningJobName, "Stopped")
        elif job["status"] == "InProgress" and job["looks"] >= 2:
            status = "Failed" if self.fail_jobs else "Completed"
            self._end_tuning(HyperParameterTuningJobName, status)
        return answer

    def _end_tuning(self, name: str, status: str) -> None:
        self.tunings[name]["status"] = status
        for number, trial in enumerate(self._trials(name), 1):
            self.jobs[trial]["status"] = "Failed" if number == 2 or status == "Failed" else status

    def _trials(self, name: str) -> list[str]:
        return [trial for trial in self.jobs if trial.startswith(f"{name}-0")]

    def list_training_jobs_for_hyper_parameter_tuning_job(
        self, *, HyperParameterTuningJobName: str
    ) -> dict[str, Any]:
        """The objective falls from trial to trial, but for the last one."""
        names = self._trials(HyperParameterTuningJobName)
        config = self.tunings[HyperParameterTuningJobName][_CONFIG]
        summaries = []
        for number, name in enumerate(names, 1):
            status = self.jobs[name]["status"]
            summary = {
                "TrainingJobName": name,
                "CreationTime": _MOMENT,
                "TrainingJobStatus": status,
                "TunedHyperParameters": _values(config["ParameterRanges"], number, len(names)),
            }
            if status == "Failed":
                summary["FailureReason"] = "AlgorithmError: it raised\nmore"
            elif status in ("Completed", "Stopped"):
                value = 1.0 if number == len(names) else 1 / (1 + number)
                summary["FinalHyperParameterTuningJobObjectiveMetric"] = {"Value": value}
            summaries.append(summary)
        return {"TrainingJobSummaries": summaries[::-1]}

    def list_hyper_parameter_tuning_jobs(
        self, *, NameContains: str = "", StatusEquals: str | None = None
    ) -> dict[str, Any]:
        return {
            "HyperParameterTuningJobSummaries": [
                {
                    "HyperParameterTuningJobName": name,
                    "HyperParameterTuningJobArn": f"arn:aws:sagemaker:r:a:tuning-job/{name}",
                }
                for name, job in self.tunings.items()
                if NameContains in name and StatusEquals in (None, job["status"])
            ]
        }

    def stop_hyper_parameter_tuning_job(self, *, HyperParameterTuningJobName: str) -> None:
        job = self.tunings[HyperParameterTuningJobName]
        if job["status"] not in ("InProgress", "Stopping"):
            raise refusal("Stop", "ValidationException", f"The job is in status {job['status']}.")
        job["status"] = "Stopping"
