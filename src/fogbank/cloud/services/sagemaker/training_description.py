"""DescribeTrainingJob's answer and ListTrainingJobs' element: a record -> the members.

SDKs read many of these without asking whether they are there: what they need is always there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from fogbank.cloud.records.training_job import TrainingJob, Transition
from fogbank.cloud.rules.training_job import max_runtime_s
from fogbank.core.arn import Scope

_VERBATIM = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "CheckpointConfig",
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "ExperimentConfig",
    "TensorBoardOutputConfig",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "Environment",
    "RetryStrategy",
    "RemoteDebugConfig",
    "InfraCheckConfig",
)
"""Members of the input that come back as they were given, where they were given."""

_FLAGS = (
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
)

_NOT_EVALUATED = "Fogbank does not evaluate Debugger and Profiler rules: nothing was checked."


def describe_training_job(job: TrainingJob, scope: Scope) -> dict[str, Any]:
    """The members of DescribeTrainingJobResponse."""
    request = job.request
    answer: dict[str, Any] = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "ModelArtifacts": {"S3ModelArtifacts": job.model_artifacts},
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.secondary_status,
        "SecondaryStatusTransitions": [_transition(entry) for entry in job.transitions],
        "HyperParameters": request.get("HyperParameters", {}),
        # SDK v2's attach() reads KmsKeyId without asking.
        "OutputDataConfig": {"KmsKeyId": "", **request["OutputDataConfig"]},
        "StoppingCondition": {
            "MaxRuntimeInSeconds": max_runtime_s(job),
            **request.get("StoppingCondition", {}),
        },
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        # Nothing is profiled, whatever ProfilerConfig asks for.
        "ProfilingStatus": "Disabled",
        **{name: request[name] for name in _VERBATIM if name in request},
        **{name: bool(request.get(name)) for name in _FLAGS},
        **_times(job),
    }
    if job.tuning_job_arn is not None:
        answer["TuningJobArn"] = job.tuning_job_arn
    if job.status == "Failed" and job.failure_reason is not None:
        answer["FailureReason"] = job.failure_reason
    if job.final_metrics:
        answer["FinalMetricDataList"] = [
            {"MetricName": metric.name, "Value": metric.value, "Timestamp": metric.at}
            for metric in job.final_metrics
        ]
    for rules, statuses in (
        ("DebugRuleConfigurations", "DebugRuleEvaluationStatuses"),
        ("ProfilerRuleConfigurations", "ProfilerRuleEvaluationStatuses"),
    ):
        if request.get(rules):
            answer[statuses] = [_not_evaluated(job, rule, scope) for rule in request[rules]]
    return answer


def summarize_training_job(job: TrainingJob) -> dict[str, Any]:
    """The members of TrainingJobSummary."""
    summary: dict[str, Any] = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.secondary_status,
    }
    if job.training_ended is not None:
        summary["TrainingEndTime"] = job.training_ended
    return summary


def _transition(entry: Transition) -> dict[str, Any]:
    ended = {} if entry.ended is None else {"EndTime": entry.ended}
    return {
        "Status": entry.status,
        "StartTime": entry.started,
        **ended,
        "StatusMessage": entry.message,
    }


def _times(job: TrainingJob) -> dict[str, Any]:
    if job.training_started is None:
        return {}
    if job.training_ended is None:
        return {"TrainingStartTime": job.training_started}
    seconds = _whole_seconds(job.training_started, job.training_ended)
    return {
        "TrainingStartTime": job.training_started,
        "TrainingEndTime": job.training_ended,
        "TrainingTimeInSeconds": seconds,
        "BillableTimeInSeconds": seconds,
    }


def _whole_seconds(start: datetime, end: datetime) -> int:
    """At least 1: the model allows no 0."""
    return max(1, round((end - start).total_seconds()))


def _not_evaluated(job: TrainingJob, rule: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    name = rule["RuleConfigurationName"]
    suffix = sha256(f"{job.name}/{name}".encode()).hexdigest()[:8]
    return {
        "RuleConfigurationName": name,
        # SDK v2 reads the ARN without asking; there is no such job.
        "RuleEvaluationJobArn": scope.arn(
            "sagemaker", f"processing-job/{job.name[:26]}-{name[:26]}-{suffix}".lower()
        ),
        "RuleEvaluationStatus": "Stopped",
        "StatusDetails": _NOT_EVALUATED,
        "LastModifiedTime": job.created,
    }
