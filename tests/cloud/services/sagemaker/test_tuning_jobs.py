"""Tuning jobs as intent and as description; what happens to them is told in the rules' tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cloud.aws import NOW, refused
from cloud.services.sagemaker.control_plane import ControlPlane, channel
from cloud.tuning_request import GRID, config, limits, several, tuning_job
from fogbank.cloud.records.training_job import FinalMetric, TrainingJob
from fogbank.cloud.records.tuning_job import TuningJob
from fogbank.cloud.rules.training_job import transition
from fogbank.cloud.rules.tuning_settings import read_settings
from fogbank.cloud.rules.tuning_trial import launch

ARN = "arn:aws:sagemaker:us-east-1:123456789012:hyper-parameter-tuning-job/dogs-hpo"
NAME = {"HyperParameterTuningJobName": "dogs-hpo"}
TUNED = {"lr": "0.01", "epochs": "3", "batch-size": '"64"'}


def record(plane: ControlPlane, name: str = "dogs-hpo") -> TuningJob:
    found = plane.records.get(TuningJob, name)
    assert found is not None
    return found


def trial(
    plane: ControlPlane,
    value: float | None = None,
    status: str = "Completed",
    *,
    name: str = "dogs-hpo",
    definition: int = 0,
) -> str:
    """What the machine writes: a trial that has ended that way. Returns its training job's name."""
    job = record(plane, name)
    definitions = read_settings(job.request).definitions
    plane.wait(1)
    made, child = launch(
        job,
        definitions,
        definition,
        TUNED,
        training_job_arn="arn:aws:sagemaker:us-east-1:123456789012:training-job/",
        now=plane.now,
    )
    plane.wait(9)
    if status != "InProgress":
        child = transition(child, "Downloading", "d", plane.now - timedelta(seconds=5))
        child = transition(child, status, status, plane.now)
        if status == "Failed":
            child = replace(child, failure_reason="AlgorithmError: boom")
        if value is not None:
            metric = FinalMetric(name=definitions[definition].metric, value=value, at=plane.now)
            child = replace(child, final_metrics=(metric,))
    plane.records.put(replace(job, trials=(*job.trials, made)), child)
    return child.name


def end(plane: ControlPlane, name: str = "dogs-hpo", status: Any = "Completed") -> None:
    plane.records.put(replace(record(plane, name), status=status, ended=plane.now))


@pytest.mark.observed
def test_a_new_job_has_every_member_that_sdks_read_without_asking(plane: ControlPlane) -> None:
    asked = tuning_job()
    answer = plane.call("CreateHyperParameterTuningJob", **asked)
    assert answer == {"HyperParameterTuningJobArn": ARN}
    plane.wait(3)
    answer = plane.call("DescribeHyperParameterTuningJob", **NAME)
    assert answer["HyperParameterTuningJobStatus"] == "InProgress"
    assert answer["HyperParameterTuningJobConfig"] == asked["HyperParameterTuningJobConfig"]
    definition = asked["TrainingJobDefinition"]
    # SDK v2's attach() deletes the objective from the static hyperparameters without asking.
    static = {**definition["StaticHyperParameters"], "_tuning_objective_metric": "loss"}
    resources = definition["HyperParameterTuningResourceConfig"]
    assert answer["TrainingJobDefinition"] == {
        **definition,
        "StaticHyperParameters": static,
        "ResourceConfig": resources,
    }
    assert (answer["CreationTime"], answer["LastModifiedTime"]) == (NOW, NOW)
    assert answer["TrainingJobStatusCounters"] == {
        "Completed": 0,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert answer["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 0}
    assert answer["ConsumedResources"] == {"RuntimeInSeconds": 3}
    for absent in ("BestTrainingJob", "HyperParameterTuningEndTime", "FailureReason"):
        assert absent not in answer


@pytest.mark.observed
def test_the_best_training_job(plane: ControlPlane) -> None:
    plane.call("CreateHyperParameterTuningJob", **tuning_job())
    trial(plane, 0.5)
    name = trial(plane, 0.25)
    trial(plane, status="Failed")
    trial(plane, status="InProgress")
    answer = plane.call("DescribeHyperParameterTuningJob", **NAME)
    best = answer["BestTrainingJob"]
    assert best == {
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{name}",
        "TrainingJobStatus": "Completed",
        "TunedHyperParameters": TUNED,
        "FinalHyperParameterTuningJobObjectiveMetric": {
            "Type": "Minimize",
            "MetricName": "loss",
            "Value": 0.25,
        },
        "ObjectiveStatus": "Succeeded",
        "CreationTime": NOW + timedelta(seconds=11),
        "TrainingStartTime": NOW + timedelta(seconds=15),
        "TrainingEndTime": NOW + timedelta(seconds=20),
    }
    assert answer["TrainingJobStatusCounters"]["InProgress"] == 1
    assert answer["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 1, "Failed": 1}
    child = plane.call("DescribeTrainingJob", TrainingJobName=name)
    assert child["TuningJobArn"] == ARN
    assert child["HyperParameters"]["_tuning_objective_metric"] == "loss"
    assert child["ResourceConfig"]["InstanceCount"] == 1


@pytest.mark.observed
def test_sdk_v2_attaches_to_a_job_that_was_made_by_hand(plane: ControlPlane) -> None:
    plane.call(
        "CreateHyperParameterTuningJob",
        **tuning_job(
            configured={"TrainingJobEarlyStoppingType": None},
            defined={"StaticHyperParameters": None},
        ),
    )
    answer = plane.call("DescribeHyperParameterTuningJob", **NAME)
    assert answer["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] == "Off"
    assert answer["TrainingJobDefinition"]["StaticHyperParameters"] == {
        "_tuning_objective_metric": "loss"
    }


@pytest.mark.docs
def test_the_end_of_a_job(plane: ControlPlane) -> None:
    plane.call("CreateHyperParameterTuningJob", **tuning_job())
    plane.wait(60)
    plane.records.put(
        replace(record(plane), status="Failed", ended=plane.now, reason="No training job succeeded")
    )
    plane.wait(60)
    answer = plane.call("DescribeHyperParameterTuningJob", **NAME)
    assert answer["FailureReason"] == "No training job succeeded"
    assert answer["HyperParameterTuningEndTime"] == NOW + timedelta(seconds=60)
    assert answer["ConsumedResources"] == {"RuntimeInSeconds": 60}


@pytest.mark.docs
def test_training_jobs_are_listed_in_every_order(plane: ControlPlane) -> None:
    plane.call("CreateHyperParameterTuningJob", **tuning_job())
    names = [
        trial(plane, 0.5),
        trial(plane, status="Failed"),
        trial(plane, 0.25, "Stopped"),
        trial(plane, 0.75),
    ]

    def listed(**asked: Any) -> list[str]:
        answer = plane.call("ListTrainingJobsForHyperParameterTuningJob", **NAME, **asked)
        return [summary["TrainingJobName"] for summary in answer["TrainingJobSummaries"]]

    assert listed() == sorted(names) == names
    assert listed(SortBy="CreationTime", SortOrder="Descending") == names[::-1]
    by_objective = [names[2], names[0], names[3]]
    assert listed(SortBy="FinalObjectiveMetricValue") == by_objective
    assert listed(SortBy="FinalObjectiveMetricValue", SortOrder="Descending") == by_objective[::-1]
    assert listed(StatusEquals="Failed") == [names[1]]
    first = plane.call(
        "ListTrainingJobsForHyperParameterTuningJob",
        **NAME,
        MaxResults=2,
        SortBy="FinalObjectiveMetricValue",
    )
    assert listed(SortBy="FinalObjectiveMetricValue", NextToken=first["NextToken"]) == [names[3]]
    failed = plane.call("ListTrainingJobsForHyperParameterTuningJob", **NAME, StatusEquals="Failed")
    (summary,) = failed["TrainingJobSummaries"]
    assert summary["FailureReason"] == "AlgorithmError: boom"
    assert summary["ObjectiveStatus"] == "Failed"
    assert "FinalHyperParameterTuningJobObjectiveMetric" not in summary


@pytest.mark.docs
def test_tuning_jobs_are_listed(plane: ControlPlane) -> None:
    for name in ("b", "a", "c"):
        plane.call("CreateHyperParameterTuningJob", **tuning_job(name))
        plane.wait(1)
    end(plane, "a")
    answer = plane.call("ListHyperParameterTuningJobs")
    summaries = answer["HyperParameterTuningJobSummaries"]
    assert [summary["HyperParameterTuningJobName"] for summary in summaries] == ["a", "b", "c"]
    assert summaries[0]["HyperParameterTuningJobStatus"] == "Completed"
    assert (summaries[0]["Strategy"], summaries[0]["ResourceLimits"]) == ("Random", limits())
    ended = plane.call("ListHyperParameterTuningJobs", StatusEquals="Completed", MaxResults=1)
    assert len(ended["HyperParameterTuningJobSummaries"]) == 1
    assert "NextToken" not in ended


@pytest.mark.docs
def test_several_definitions_are_named(plane: ControlPlane) -> None:
    accurate = {"MetricName": "accuracy", "Type": "Minimize"}
    plane.call("CreateHyperParameterTuningJob", **several({}, {"TuningObjective": accurate}))
    trial(plane, 0.5, definition=1)
    answer = plane.call("DescribeHyperParameterTuningJob", **NAME)
    best = answer["BestTrainingJob"]
    assert best["TrainingJobDefinitionName"] == "definition-1"
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"] == "accuracy"
    assert len(answer["TrainingJobDefinitions"]) == 2
    assert "TrainingJobDefinition" not in answer


@pytest.mark.observed
@pytest.mark.parametrize("name", ["dogs-hpo", "Dogs-HPO"])
def test_a_name_is_taken_whatever_its_case(plane: ControlPlane, name: str) -> None:
    plane.call("CreateHyperParameterTuningJob", **tuning_job())
    with refused("ResourceInUse", 400, "must be unique", "already exists"):
        plane.call("CreateHyperParameterTuningJob", **tuning_job(name))


BAD_INPUT: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (
        "ranges upside down",
        tuning_job(
            configured={
                "ParameterRanges": {
                    "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "1", "MaxValue": "0"}]
                }
            }
        ),
        ("lr", "upside down"),
    ),
    (
        "a regex with no group",
        tuning_job(
            configured={
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "bare"}
            }
        ),
        ("objective metric bare has no group", "put parentheses around the value"),
    ),
    (
        "a role that is not there",
        tuning_job(defined={"RoleArn": "arn:aws:iam::123456789012:role/nobody"}),
        ("Could not assume role",),
    ),
    (
        "a channel that is not there",
        tuning_job(defined={"InputDataConfig": [channel("train", "s3://dogs/none")]}),
        ("No S3 objects found",),
    ),
    (
        "no instance",
        tuning_job(defined={"HyperParameterTuningResourceConfig": {"InstanceCount": 1}}),
        ("InstanceType",),
    ),
    (
        "a parent that is not there",
        tuning_job(
            WarmStartConfig={
                "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "old"}],
                "WarmStartType": "TransferLearning",
            }
        ),
        ("'old' does not exist",),
    ),
]


@pytest.mark.docs
@pytest.mark.parametrize(
    ("asked", "words"), [case[1:] for case in BAD_INPUT], ids=[case[0] for case in BAD_INPUT]
)
def test_bad_input_is_refused_and_leaves_nothing(
    plane: ControlPlane, asked: dict[str, Any], words: tuple[str, ...]
) -> None:
    with refused("ValidationException", 400, *words):
        plane.call("CreateHyperParameterTuningJob", **asked)
    assert plane.records.all(TuningJob) == []


@pytest.mark.parametrize(
    ("strategy", "works"), [("Bayesian", False), ("Random", True), ("Grid", True)]
)
def test_without_optuna(plane: ControlPlane, strategy: str, works: bool) -> None:
    plane.has_optuna = False
    asked = tuning_job(
        configured={"Strategy": strategy, "ParameterRanges": GRID, "ResourceLimits": limits(6)}
    )
    if works:
        plane.call("CreateHyperParameterTuningJob", **asked)
        return
    with refused("ValidationException", 400, "pip install 'fogbank[tuning]'"):
        plane.call("CreateHyperParameterTuningJob", **asked)


def warm(name: str, kind: str, **changes: Any) -> dict[str, Any]:
    parents = [{"HyperParameterTuningJobName": "dogs-hpo"}]
    start = {"ParentHyperParameterTuningJobs": parents, "WarmStartType": kind}
    return tuning_job(name, WarmStartConfig=start, **changes)


@pytest.mark.docs
def test_a_warm_start_learns_from_its_parent(plane: ControlPlane) -> None:
    plane.call("CreateHyperParameterTuningJob", **tuning_job())
    with refused("ValidationException", 400, "InProgress: a warm start needs parents that have"):
        plane.call("CreateHyperParameterTuningJob", **warm("new", "TransferLearning"))
    old = trial(plane, 0.25)
    trial(plane, status="Failed")
    end(plane)
    for kind in ("TransferLearning", "IdenticalDataAndAlgorithm"):
        plane.call("CreateHyperParameterTuningJob", **warm(kind, kind))
        (known,) = record(plane, kind).inherited
        assert (known.training_job, known.value) == (old, 0.25)
        assert known.hyperparameters.items() >= TUNED.items()
        trial(plane, 0.5, name=kind)
        answer = plane.call("DescribeHyperParameterTuningJob", HyperParameterTuningJobName=kind)
        assert answer["BestTrainingJob"]["TrainingJobName"] != old
        if kind == "TransferLearning":
            assert "OverallBestTrainingJob" not in answer
        else:
            overall = answer["OverallBestTrainingJob"]
            assert (overall["TrainingJobName"], overall["TuningJobName"]) == (old, "dogs-hpo")


@pytest.mark.docs
def test_what_a_warm_start_may_not_change(plane: ControlPlane) -> None:
    plane.call("CreateHyperParameterTuningJob", **tuning_job())
    end(plane)
    accurate = {"Type": "Maximize", "MetricName": "accuracy"}
    with refused("ValidationException", 400, "another objective metric"):
        plane.call(
            "CreateHyperParameterTuningJob",
            **warm(
                "new",
                "TransferLearning",
                configured={"HyperParameterTuningJobObjective": accurate},
            ),
        )
    other = {"defined": {"InputDataConfig": [channel("train", "s3://dogs/train")]}}
    with refused("ValidationException", 400, "other input data or another training image"):
        plane.call(
            "CreateHyperParameterTuningJob", **warm("new", "IdenticalDataAndAlgorithm", **other)
        )
    plane.call("CreateHyperParameterTuningJob", **warm("new", "TransferLearning", **other))


@pytest.mark.docs
def test_stop_is_an_intent_and_is_refused_once_the_job_has_ended(plane: ControlPlane) -> None:
    plane.call("CreateHyperParameterTuningJob", **tuning_job())
    plane.wait(3)
    plane.call("StopHyperParameterTuningJob", **NAME)
    plane.call("StopHyperParameterTuningJob", **NAME)
    answer = plane.call("DescribeHyperParameterTuningJob", **NAME)
    assert answer["HyperParameterTuningJobStatus"] == "Stopping"
    end(plane, status="Stopped")
    with refused("ValidationException", 400, "is in status Stopped"):
        plane.call("StopHyperParameterTuningJob", **NAME)


@pytest.mark.docs
def test_delete_takes_the_entry_and_leaves_the_training_jobs(plane: ControlPlane) -> None:
    tags = [{"Key": "fogbank:project", "Value": "dogs"}]
    plane.call("CreateHyperParameterTuningJob", **tuning_job(Tags=tags))
    assert plane.call("ListTags", ResourceArn=ARN) == {"Tags": tags}
    child = trial(plane, 0.5)
    with refused("ValidationException", 400, "InProgress. Stop it"):
        plane.call("DeleteHyperParameterTuningJob", **NAME)
    end(plane)
    plane.call("DeleteHyperParameterTuningJob", **NAME)
    assert plane.records.all(TuningJob) == []
    assert plane.records.get(TrainingJob, child) is not None
    plane.call("CreateHyperParameterTuningJob", **tuning_job())
    assert plane.call("ListTags", ResourceArn=ARN) == {"Tags": []}
    assert trial(plane, 0.5) != child, "a job of the same name has children of other names"


@pytest.mark.observed
@pytest.mark.parametrize(
    "operation",
    [
        "DescribeHyperParameterTuningJob",
        "ListTrainingJobsForHyperParameterTuningJob",
        "StopHyperParameterTuningJob",
        "DeleteHyperParameterTuningJob",
    ],
)
def test_an_unknown_job(plane: ControlPlane, operation: str) -> None:
    words = "Amazon SageMaker can't find a tuning job called dogs-hpo. Type another name."
    with refused("ResourceNotFound", 400, words):
        plane.call(operation, **NAME)


def test_a_seed_of_its_own(plane: ControlPlane) -> None:
    """Without RandomSeed two jobs search differently; with one the record has it."""
    for name in ("a", "b"):
        plane.call(
            "CreateHyperParameterTuningJob", **tuning_job(name, configured={"RandomSeed": None})
        )
    plane.call("CreateHyperParameterTuningJob", **tuning_job("c"))
    assert record(plane, "a").seed != record(plane, "b").seed
    assert record(plane, "c").seed == config()["RandomSeed"] == 7
