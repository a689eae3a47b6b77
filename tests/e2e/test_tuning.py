"""Tuning jobs through the wire: scripts that were never written for Fogbank, real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from botocore.exceptions import ClientError

from e2e.account import TRAINING_IMAGE, Account, archive, refusal
from e2e.waiting import until
from fogbank.testing.cloud import RunningCloud

QUADRATIC = """
    import argparse, os, pathlib
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float)
    parser.add_argument("--batch-size", type=int)
    arguments = parser.parse_args()
    print("Testing Loss: 99.0")
    print(f"Testing Loss: {(arguments.rate - 2) ** 2 + arguments.batch_size / 1000:.4f}")
    pathlib.Path(os.environ["SM_MODEL_DIR"], "rate").write_text(str(arguments.rate))
"""

RANGES: dict[str, Any] = {
    "ContinuousParameterRanges": [{"Name": "rate", "MinValue": "-10", "MaxValue": "10"}],
    "CategoricalParameterRanges": [{"Name": "batch-size", "Values": ['"32"', '"64"']}],
}


class Tuner:
    """Tuning jobs of an account."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.sagemaker = account.sagemaker

    def create(
        self,
        name: str,
        script: str,
        *,
        number: int | None = 6,
        parallel: int = 3,
        ranges: Mapping[str, Any] = RANGES,
        regex: str = r"Testing Loss: ([0-9.]+)",
        strategy: str = "Bayesian",
        **config: Any,
    ) -> None:
        """As the SDK's version 2 does it."""
        code = self.account.put(f"code/{name}.tar.gz", archive({"hpo.py": dedent(script)}))
        limits = {"MaxParallelTrainingJobs": parallel}
        self.sagemaker.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name,
            HyperParameterTuningJobConfig={
                "Strategy": strategy,
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
                "ResourceLimits": limits | ({"MaxNumberOfTrainingJobs": number} if number else {}),
                "ParameterRanges": ranges,
                "RandomSeed": 7,
                **config,
            },
            TrainingJobDefinition={
                "StaticHyperParameters": {
                    "sagemaker_program": '"hpo.py"',
                    "sagemaker_submit_directory": json.dumps(code),
                },
                "AlgorithmSpecification": {
                    "TrainingImage": TRAINING_IMAGE,
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": regex}],
                },
                "RoleArn": self.account.role,
                "OutputDataConfig": {"S3OutputPath": f"s3://{self.account.bucket}/out"},
                "HyperParameterTuningResourceConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            },
        )

    def job(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        )
        return found

    def end(self, name: str) -> dict[str, Any]:
        """The job when it is over."""

        def probe() -> dict[str, Any] | None:
            job = self.job(name)
            going_on = job["HyperParameterTuningJobStatus"] in ("InProgress", "Stopping")
            return None if going_on else job

        return until(probe, f"the end of tuning job {name}")

    def trials(self, name: str) -> list[dict[str, Any]]:
        """In the order in which they were launched."""
        answer = self.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, MaxResults=100
        )
        found: list[dict[str, Any]] = answer["TrainingJobSummaries"]
        return found

    def objectives(self, name: str) -> list[float]:
        return [
            trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
            for trial in self.trials(name)
        ]


@pytest.fixture
def tuner(account: Account) -> Tuner:
    return Tuner(account)


def most_at_once(trials: Sequence[Mapping[str, Any]]) -> int:
    """How many ran at the moment when another was launched."""
    moments = [(trial["CreationTime"], trial["TrainingEndTime"]) for trial in trials]
    return max(len([1 for start, end in moments if start <= now < end]) for now, _ in moments)


@pytest.mark.observed
def test_six_trials_three_at_a_time(tuner: Tuner) -> None:
    tuner.create("parallel", QUADRATIC)
    job = tuner.end("parallel")
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    assert job["TrainingJobStatusCounters"]["Completed"] == 6
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}
    trials = tuner.trials("parallel")
    assert most_at_once(trials) == 3
    best = job["BestTrainingJob"]
    value = best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert value == min(tuner.objectives("parallel"))
    # The final value counts, not the first one that the log shows.
    rate = float(best["TunedHyperParameters"]["rate"])
    size = int(json.loads(best["TunedHyperParameters"]["batch-size"]))
    assert value == pytest.approx((rate - 2) ** 2 + size / 1000, abs=1e-3)
    child = tuner.account.job(best["TrainingJobName"])
    assert child["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert child["HyperParameters"]["batch-size"] in ('"32"', '"64"')
    assert child["HyperParameters"]["_tuning_objective_metric"] == "loss"
    assert tuner.account.model_of(best["TrainingJobName"]) == {"rate": str(rate)}
    listed = tuner.sagemaker.list_hyper_parameter_tuning_jobs(NameContains="parallel")
    assert len(listed["HyperParameterTuningJobSummaries"]) == 1
    with refusal("ResourceInUse", "already exists"):
        tuner.create("parallel", QUADRATIC)


def test_a_bayesian_search_comes_closer(tuner: Tuner) -> None:
    """One at a time, so that the seed decides everything: after three trials that fill the space
    the model is asked."""
    tuner.create("closer", QUADRATIC, number=8, parallel=1, RandomSeed=1)
    assert tuner.end("closer")["HyperParameterTuningJobStatus"] == "Completed"
    objectives = tuner.objectives("closer")
    assert min(objectives[3:]) < min(objectives[:3]) / 10


@pytest.mark.docs
def test_a_grid_and_a_trial_that_gets_nowhere(tuner: Tuner) -> None:
    """It would go on for ever: only early stopping ends it."""
    script = """
        import argparse, time
        parser = argparse.ArgumentParser()
        parser.add_argument("--kind")
        kind = parser.parse_args().kind
        if kind == "hopeless":
            while True:
                print("Testing Loss: 0.9", flush=True)
                time.sleep(0.05)
        for epoch in range(4):
            print(f"Testing Loss: {0.5 / (epoch + 1)}")
    """
    kinds = ["first", "second", "third", "hopeless"]
    tuner.create(
        "grid",
        script,
        number=None,
        parallel=1,
        strategy="Grid",
        ranges={"CategoricalParameterRanges": [{"Name": "kind", "Values": kinds}]},
        TrainingJobEarlyStoppingType="Auto",
    )
    job = tuner.end("grid")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    trials = tuner.trials("grid")
    assert [trial["TunedHyperParameters"]["kind"] for trial in trials] == kinds
    assert [trial["TrainingJobStatus"] for trial in trials] == [*["Completed"] * 3, "Stopped"]
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1
    assert job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.125


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"regex": "Testing Loss: [0-9.]+"}, "has no group: put parentheses around the value"),
        (
            {
                "ranges": {
                    "IntegerParameterRanges": [{"Name": "size", "MinValue": "64", "MaxValue": "32"}]
                }
            },
            "upside down: MinValue is greater than MaxValue",
        ),
        (
            {"ranges": {"CategoricalParameterRanges": [{"Name": "size", "Values": ["32", "64"]}]}},
            "You don't have enough combinations of hyperparameter ranges.",
        ),
    ],
    ids=["a regex with no group", "ranges upside down", "more trials than can differ"],
)
def test_what_is_refused_before_anything_runs(
    tuner: Tuner, wrong: dict[str, Any], words: str
) -> None:
    with refusal("ValidationException", words):
        tuner.create("refused", QUADRATIC, **wrong)
    listed = tuner.sagemaker.list_hyper_parameter_tuning_jobs(NameContains="refused")
    assert listed["HyperParameterTuningJobSummaries"] == []


@pytest.mark.docs
def test_of_many_jobs_of_one_name_one_is_created(tuner: Tuner) -> None:
    """Asked for at the same moment, as two terminals may do it."""

    def create(kind: str) -> str:
        try:
            if kind == "tuning":
                tuner.create("twin-searches", QUADRATIC, number=1, parallel=1)
            else:
                tuner.account.train("twin-jobs", "print('only once')")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "created"

    with ThreadPoolExecutor(8) as pool:
        kinds = ["tuning", "training"] * 4
        answers = sorted(zip(kinds, pool.map(create, kinds), strict=True))
    for kind in ("tuning", "training"):
        assert [answer for one, answer in answers if one == kind] == [
            *["ResourceInUse"] * 3,
            "created",
        ]
    assert tuner.end("twin-searches")["HyperParameterTuningJobStatus"] == "Completed"
    job = tuner.account.job_end("twin-jobs")  # its code was replaced while it was read
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert tuner.account.job_log("twin-jobs").count("only once") == 1


@pytest.mark.observed
def test_an_objective_that_never_appears(tuner: Tuner) -> None:
    tuner.create("silent", "print('Loss 0.5')", number=2)
    job = tuner.end("silent")
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        "No objective metrics found after running 2 training jobs."
    )
    assert job["ObjectiveStatusCounters"]["Failed"] == 2
    assert "BestTrainingJob" not in job


@pytest.mark.observed
def test_all_trials_fail(tuner: Tuner) -> None:
    tuner.create("broken", "raise SystemExit('no such layer')", number=2)
    job = tuner.end("broken")
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("No training job succeeded after 2 attempts.")
    assert "no such layer" in job["FailureReason"]
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 2


SECOND = """
    import os, pathlib, time
    print("Testing Loss: 0.5", flush=True)
    if not os.environ["TRAINING_JOB_NAME"].startswith(("stopped-001", "stopped-002")):
        time.sleep(600)
"""


@pytest.mark.docs
def test_stop_during_the_third_trial(tuner: Tuner) -> None:
    tuner.create("stopped", SECOND, parallel=1)
    until(lambda: len(tuner.trials("stopped")) == 3 or None, "the third trial")
    tuner.account.job_says(tuner.trials("stopped")[2]["TrainingJobName"], "Testing Loss: 0.5")
    tuner.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    job = tuner.end("stopped")
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    statuses = [trial["TrainingJobStatus"] for trial in tuner.trials("stopped")]
    assert statuses == ["Completed", "Completed", "Stopped"]
    assert "BestTrainingJob" in job


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Tuner]:
    """A cloud that may be killed."""
    running = RunningCloud(tmp_path / "home").start()
    try:
        yield Tuner(Account(running, "own-bucket"))
    finally:
        assert running.stop() == 0


ONCE = """
    import os, pathlib, time
    print("Testing Loss: 0.5", flush=True)
    gate = pathlib.Path("GATE")
    if os.environ["TRAINING_JOB_NAME"].startswith("killed-001"):
        raise SystemExit
    while not gate.exists():
        time.sleep(0.05)
"""


def test_kill_in_mid_tuning(own: Tuner, tmp_path: Path) -> None:
    """It goes on after the restart; the trials that ran are run again, none is lost or added."""
    gate = tmp_path / "gate"
    own.create("killed", ONCE.replace("GATE", str(gate)), number=4, parallel=2)
    until(lambda: len(own.trials("killed")) == 3 or None, "the third trial")
    own.account.job_says(own.trials("killed")[2]["TrainingJobName"], "Testing Loss: 0.5")
    before = {
        trial["TrainingJobName"]: trial["TunedHyperParameters"] for trial in own.trials("killed")
    }
    own.account.cloud.kill()
    gate.touch()
    own.account.cloud.start()
    job = own.end("killed")
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    after = {
        trial["TrainingJobName"]: trial["TunedHyperParameters"] for trial in own.trials("killed")
    }
    assert before.items() <= after.items()
