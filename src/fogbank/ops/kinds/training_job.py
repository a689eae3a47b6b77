"""The training job. Its name carries a hash of data, code and settings: equal input is trained
once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fogbank.aws import Aws, existing
from fogbank.ops import attempts
from fogbank.ops.container_log import TRAINING_JOBS, ContainerLog
from fogbank.ops.image_uris import training_image
from fogbank.ops.kinds import code, data
from fogbank.ops.names import Names, fingerprint, split_s3_uri
from fogbank.ops.spec import Spec, Train
from fogbank.ops.step import Step
from fogbank.ops.survey import Survey
from fogbank.ops.world import CloudFailure, World

POLL_S = 1.0
NUM_LAST_LINES = 15

_WORDS = attempts.Words(
    kind="training-job",
    result="model",
    not_tried="this data, code and settings have not been trained yet",
    lost="the model of {name} is no longer in S3",
    going_on="the training job {name} goes on in the cloud",
)


@dataclass(frozen=True, kw_only=True)
class Desired:
    base_name: str
    """Of the first attempt."""
    names: Names
    request: Mapping[str, Any]
    """CreateTrainingJob's parameters but for the name."""
    origin: str = ""
    """Hyperparameters that are not fogbank.yaml's, and whose they are."""


@dataclass(frozen=True, kw_only=True)
class Found:
    name: str
    status: str
    """InProgress, Completed, Failed, Stopping or Stopped."""
    reason: str = ""
    """Why it failed."""
    model_uri: str = ""
    has_model: bool = True
    """Whether the model of a Completed job is still in S3. Jobs stay for ever, buckets do not."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: int | None = None
    """Training time, once it is known."""
    warning: str = ""
    """What the cloud says of a job that completed: several instances trained one model each."""

    @property
    def has_result(self) -> bool:
        """Whether its model can be served."""
        return self.status == "Completed" and self.has_model


def desired(
    spec: Spec, survey: Survey, names: Names, source: code.Desired, *, origin: str = ""
) -> Desired:
    train = spec.train
    region = names.scope.region
    request = {
        "RoleArn": names.role_arn("train"),
        "AlgorithmSpecification": {
            "TrainingImage": training_image(region, train.instance_type),
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": metric.name, "Regex": metric.regex} for metric in train.metrics
            ],
        },
        "HyperParameters": {
            **train.hyperparameters,
            "sagemaker_program": json.dumps(source.code.entry_point),
            "sagemaker_submit_directory": json.dumps(source.uri),
            # WARNING: at INFO the toolkit lists its environment before the script says a word.
            "sagemaker_container_log_level": "30",
            "sagemaker_region": json.dumps(region),
            **_distribution(train),
        },
        "InputDataConfig": [
            {
                "ChannelName": spec.data.channel,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": names.s3_uri(data.PREFIX),
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": names.s3_uri("jobs")},
        "ResourceConfig": {
            "InstanceType": train.instance_type,
            "InstanceCount": train.instance_count,
            "VolumeSizeInGB": train.volume_size_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": train.max_runtime_s},
        "Tags": names.tags,
    }
    files = [[file.name, file.size_bytes, file.etag] for file in survey.data]
    return Desired(
        base_name=names.versioned(fingerprint(request, files)),
        names=names,
        request=request,
        origin=origin,
    )


def _distribution(train: Train) -> dict[str, str]:
    """What makes several instances one process group; without it each would train a copy."""
    if train.instance_count == 1:
        return {}
    return {
        "sagemaker_torch_distributed_enabled": "true",
        "sagemaker_instance_type": json.dumps(train.instance_type),
    }


def observe(aws: Aws, base_name: str) -> list[Found]:
    """All attempts, the first one first."""
    pages = aws.sagemaker.get_paginator("list_training_jobs").paginate(NameContains=base_name)
    names = (job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"])
    found = (observe_one(aws, name) for name in attempts.in_order(base_name, names))
    return [job for job in found if job is not None]


def observe_one(aws: Aws, name: str) -> Found | None:
    job = existing(aws.sagemaker.describe_training_job, TrainingJobName=name)
    if job is None:
        return None
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    completed = job["TrainingJobStatus"] == "Completed"
    return Found(
        name=name,
        status=job["TrainingJobStatus"],
        reason=job.get("FailureReason", ""),
        model_uri=uri,
        has_model=completed and code.observe(aws, *split_s3_uri(uri)),
        metrics={
            metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", ())
        },
        seconds=job.get("TrainingTimeInSeconds"),
        warning=_warning(job.get("SecondaryStatusTransitions", ())),
    )


def _warning(transitions: Sequence[Mapping[str, Any]]) -> str:
    """What follows "Warning: " in the job's last status message."""
    message: str = transitions[-1].get("StatusMessage", "") if transitions else ""
    return message.partition("Warning: ")[2]


def name_of(desired: Desired, found: Sequence[Found]) -> str:
    """The job that holds, or will hold, the model of this input."""
    return attempts.name_of(desired.base_name, found)


def model_uri(desired: Desired, name: str) -> str:
    """Where the job leaves its model (API reference, OutputDataConfig)."""
    base: str = desired.request["OutputDataConfig"]["S3OutputPath"]
    return f"{base}/{name}/output/model.tar.gz"


def diff(desired: Desired, found: Sequence[Found]) -> list[Step]:
    def start(name: str, reason: str) -> Step:
        resources = desired.request["ResourceConfig"]
        return Step(
            kind="training-job",
            verb="create",
            name=name,
            message=(
                f"start the training job {name} on {resources['InstanceCount']} x "
                f"{resources['InstanceType']}"
            ),
            reason="; ".join(filter(None, (reason, desired.origin))),
            request={
                "TrainingJobName": name,
                **desired.request,
                "HyperParameters": {
                    **desired.request["HyperParameters"],
                    "sagemaker_job_name": json.dumps(name),
                },
            },
        )

    return attempts.diff(_WORDS, desired.base_name, found, start)


def remove(name: str) -> list[Step]:
    return [attempts.stop(_WORDS, name)]


def apply(world: World, step: Step) -> None:
    match step.verb:
        case "create":
            attempts.create(world.aws.sagemaker.create_training_job, step.request)
        case "wait":
            _wait(world, step.name)
        case "stop":
            _stop(world, step.name)
        case _:
            raise AssertionError(f"no way to {step.verb} a training job")


def _wait(world: World, name: str) -> None:
    """Returns when the job is Completed. Raises CloudFailure when it ends otherwise."""
    log = ContainerLog(world.aws, TRAINING_JOBS, f"{name}/")
    last_lines: list[str] = []
    while True:
        # The status first: once it is final, all of the log can be read.
        job = world.aws.sagemaker.describe_training_job(TrainingJobName=name)
        world.progress.status(job["SecondaryStatus"])
        for line in log.new_lines():
            world.progress.log(line)
            last_lines = [*last_lines[1 - NUM_LAST_LINES :], line]
        status = job["TrainingJobStatus"]
        if status == "Completed":
            return
        if status == "Stopped":
            raise CloudFailure(
                f"the training job {name} was stopped ({job['SecondaryStatus']}). Give the command "
                "again to train again; train.max_runtime_s in fogbank.yaml says how long it may "
                "take."
            )
        if status == "Failed":
            raise CloudFailure(
                failure(
                    f"the training job {name} failed",
                    job.get("FailureReason", ""),
                    last_lines,
                    f"The whole log is in {TRAINING_JOBS}, streams {name}/*. Correct what it says "
                    "and give the command again.",
                )
            )
        world.pause(POLL_S)


def failure(what: str, reason: str, last_lines: Sequence[str], advice: str) -> str:
    """What failed, why, the container's last words, what to do. A reason of several lines ends in
    those words too: its first line is enough where there is a log."""
    lines = reason.strip().splitlines()
    why = lines[0] if lines and last_lines else "\n".join(lines)
    text = [f"{what}: {why}" if why else what]
    if last_lines:
        text += ["", "The last lines of its log:", *(f"  {line}" for line in last_lines)]
    return "\n".join([*text, "", advice])


def _stop(world: World, name: str) -> None:
    attempts.ask_to_stop(world.aws.sagemaker.stop_training_job, TrainingJobName=name)
    while True:
        job = world.aws.sagemaker.describe_training_job(TrainingJobName=name)
        world.progress.status(job["SecondaryStatus"])
        if job["TrainingJobStatus"] not in attempts.RUNNING:
            return
        world.pause(POLL_S)
