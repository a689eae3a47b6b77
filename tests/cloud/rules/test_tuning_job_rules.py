"""The life of a tuning job: what is launched, what is stopped, how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.rules.tuning_story import START, Story
from cloud.tuning_request import GRID, RANGES, limits, several, tuning_job
from fogbank.cloud.records.tuning_job import Inherited
from fogbank.cloud.rules.tuning_job import history, stop
from fogbank.cloud.rules.tuning_trial import (
    best,
    num_not_improving,
    objective_status_counters,
    training_job_status_counters,
)


def configured(**changes: Any) -> dict[str, Any]:
    return tuning_job(configured=changes)


@pytest.mark.docs
def test_as_many_run_as_may_and_each_that_ends_is_followed() -> None:
    story = Story()
    story.step()
    assert len(story.running) == 2
    story.ends(story.name(1), 0.5)
    story.step()
    assert len(story.job.trials) == 3
    assert len(story.running) == 2


@pytest.mark.observed
def test_what_a_child_is_made_of() -> None:
    story = Story(
        tuning_job(
            defined={
                "CheckpointConfig": {"S3Uri": "s3://dogs/checkpoints/", "LocalPath": "/opt/ml/c"},
                "Environment": {"A": "b"},
            }
        )
    )
    story.step()
    child = story.children[0]
    name = child.job.name
    assert name.startswith("dogs-hpo-001-")
    assert len(name) == len("dogs-hpo-001-") + 8
    assert child.job.request["HyperParameters"] == {
        "sagemaker_program": '"hpo.py"',
        **child.trial.hyperparameters,
        "_tuning_objective_metric": "loss",
    }
    assert set(child.trial.hyperparameters) == {"lr", "epochs", "batch-size"}
    assert child.trial.hyperparameters["batch-size"] in ('"32"', '"64"', '"128"')
    assert child.job.request["ResourceConfig"]["InstanceType"] == "ml.m5.large"
    assert child.job.request["Environment"] == {"A": "b"}
    assert child.job.request["CheckpointConfig"] == {
        "S3Uri": f"s3://dogs/checkpoints/{name}",
        "LocalPath": "/opt/ml/c",
    }
    assert child.job.model_artifacts == f"s3://dogs/out/{name}/output/model.tar.gz"
    assert child.job.tuning_job_arn == story.job.arn


@pytest.mark.docs
def test_the_best_is_the_best_final_value() -> None:
    story = Story(configured(ResourceLimits=limits(3, 3)))
    story.step()
    story.reports(story.name(1), 0.1)  # better for a while
    for number, value in enumerate((0.5, 0.3, 0.4), start=1):
        story.ends(story.name(number), value)
    story.step()
    top = best(story.children, maximize=False)
    assert top is not None
    assert (top.trial.number, top.objective) == (2, 0.3)
    other = best(story.children, maximize=True)
    assert other is not None
    assert other.trial.number == 1
    assert story.status == "Completed"
    assert story.job.ended == story.now


@pytest.mark.docs
def test_failed_trials_do_not_end_the_job() -> None:
    story = Story()
    story.step()
    for number in (1, 2):
        story.ends(story.name(number), reason="AlgorithmError: boom, exit code: 1")
        story.step()
    story.ends(story.name(3), 0.5)
    story.step()
    assert story.outcome == ""
    while story.running:
        story.ends(story.running[0].job.name, reason="InternalServerError: gone")
        story.step()
    assert story.status == "Completed"
    assert training_job_status_counters(story.children) == {
        "Completed": 1,
        "InProgress": 0,
        "RetryableError": 3,
        "NonRetryableError": 2,
        "Stopped": 0,
    }
    assert objective_status_counters(story.children) == {"Succeeded": 1, "Pending": 0, "Failed": 5}


@pytest.mark.observed
@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "AlgorithmError: boom",
            "No training job succeeded after 5 attempts. Please take a look at the training job "
            "failures to get more details. (dogs-hpo-001-",
        ),
        (None, "No objective metrics found after running 5 training jobs."),
    ],
)
def test_five_trials_without_an_objective_are_enough(reason: str | None, words: str) -> None:
    story = Story(configured(ResourceLimits=limits(20, 2)))
    story.step()
    for _ in range(5):
        story.ends(story.running[0].job.name, reason=reason)
        story.step()
    assert (story.status, story.outcome) == ("InProgress", "Failed")
    (last,) = story.running
    assert last.job.status == "Stopping"
    story.ends(last.job.name)
    story.step()
    assert story.status == "Failed"
    assert story.job.reason.startswith(words)


@pytest.mark.docs
def test_all_trials_of_a_small_job_fail() -> None:
    story = Story(configured(ResourceLimits=limits(2, 2)))
    story.step()
    for number in (1, 2):
        assert story.status == "InProgress"
        story.ends(story.name(number), reason="AlgorithmError: boom")
        story.step()
    assert story.status == "Failed"


@pytest.mark.docs
def test_stop_waits_for_the_trials() -> None:
    story = Story()
    story.step()
    story.job = stop(story.job, story.now)
    assert story.status == "Stopping"
    assert stop(story.job, story.now) is story.job
    story.step()
    assert [child.job.status for child in story.children] == ["Stopping", "Stopping"]
    story.ends(story.name(1), 0.5)
    story.step()
    assert story.status == "Stopping"
    story.ends(story.name(2))
    story.step()
    assert story.status == "Stopped"
    assert objective_status_counters(story.children) == {"Succeeded": 1, "Pending": 0, "Failed": 1}
    with pytest.raises(RuntimeError, match="for ever"):
        stop(story.job, story.now)


@pytest.mark.docs
def test_the_time_of_a_tuning_job_ends() -> None:
    story = Story(configured(ResourceLimits=limits(9, 1, MaxRuntimeInSeconds=600)))
    assert story.step().wait_until == START + timedelta(seconds=600)
    story.ends(story.name(1), 0.5)
    story.wait(599)
    story.step()
    assert story.outcome == ""
    story.wait(1)
    story.step()
    assert (story.status, story.outcome) == ("InProgress", "Completed")
    story.ends(story.name(2))
    story.step()
    assert story.status == "Completed"
    assert story.job.reason == "MaxRuntimeInSeconds (600) has passed"


@pytest.mark.docs
@pytest.mark.parametrize(("value", "ends"), [(0.2, True), (0.19, True), (0.21, False)])
def test_the_target_ends_the_job(value: float, ends: bool) -> None:
    story = Story(configured(TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.2}))
    story.step()
    story.ends(story.name(1), value)
    story.step()
    assert (story.outcome == "Completed") == ends


@pytest.mark.docs
def test_no_improvement_ends_the_job_and_a_late_one_changes_nothing() -> None:
    improving = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    story = Story(configured(TuningJobCompletionCriteria=improving, ResourceLimits=limits(20, 2)))
    story.step()
    # 0.995 is better by less than 1 %.
    for number, value in enumerate((1.0, 0.995, 2.0), start=1):
        story.ends(story.name(number), value)
        story.step()
    assert num_not_improving(story.children, maximize=False) == 2
    assert story.outcome == ""
    story.ends(story.name(4), 1.0)
    story.step()
    assert story.outcome == "Completed"
    story.ends(story.name(5), 0.1)
    story.step()
    assert story.status == "Completed"
    assert len(story.job.trials) == 5


@pytest.mark.docs
def test_the_median_rule_stops_a_trial_and_another_takes_its_place() -> None:
    story = Story(configured(TrainingJobEarlyStoppingType="Auto", ResourceLimits=limits(9, 1)))
    story.step()
    for number in (1, 2, 3):
        story.reports(story.name(number), 0.9, 0.5)
        story.ends(story.name(number), 0.3)
        story.step()
    assert story.decisions[-1].wait_until == story.now + timedelta(seconds=1)
    story.reports(story.name(4), 0.8)
    story.step()
    assert story.job.trials[3].stopped_early is None
    story.reports(story.name(4), 0.95)
    story.step()
    assert "worse than the median" in (story.job.trials[3].stopped_early or "")
    story.ends(story.name(4))
    story.step()
    assert story.children[3].job.status == "Stopped"
    assert story.children[3].objective_status == "Succeeded"
    assert len(story.job.trials) == 5
    told = history(story.job, story.settings, story.children, 0).seen
    assert [(one.value, one.num_reports) for one in told] == [
        *[(0.3, None)] * 3,
        (0.95, 2),
        (None, None),
    ]


@pytest.mark.docs
def test_without_early_stopping_nobody_looks() -> None:
    story = Story()
    story.step()
    assert story.decisions[-1].wait_until is None
    for number in (1, 2):
        story.reports(story.name(number), 99.0, 99.0)
    story.step()
    assert story.running == story.children


@pytest.mark.docs
def test_several_definitions_take_turns() -> None:
    story = Story(several({}, {"HyperParameterRanges": GRID}))
    story.step()
    while story.running:
        story.ends(story.running[0].job.name, 0.5)
        story.step()
    assert [trial.definition for trial in story.job.trials] == [0, 1] * 3
    assert set(story.job.trials[1].hyperparameters) == {"optimizer", "batch-size"}


@pytest.mark.docs
def test_grids_of_different_sizes_are_walked_to_their_ends() -> None:
    small = {"CategoricalParameterRanges": [{"Name": "optimizer", "Values": ["sgd"]}]}
    request = several(
        {"HyperParameterRanges": small},
        {"HyperParameterRanges": GRID},
        Strategy="Grid",
        ResourceLimits=limits(None, 3),
    )
    story = Story(request)
    story.step()
    while story.running:
        story.ends(story.running[0].job.name, 0.5)
        story.step()
    tried = [(trial.definition, *trial.hyperparameters.values()) for trial in story.job.trials]
    assert len(tried) == len(set(tried)) == 7
    assert story.status == "Completed"


@pytest.mark.docs
def test_a_warm_start_tells_the_search_what_fits() -> None:
    story = Story()
    fits = {"lr": "0.01", "epochs": "3", "batch-size": '"64"', "sagemaker_program": '"hpo.py"'}
    story.job = replace(
        story.job,
        inherited=(
            Inherited(training_job="old-1", hyperparameters=fits, value=0.3),
            Inherited(training_job="old-2", hyperparameters={**fits, "lr": "0.5"}, value=0.2),
        ),
    )
    told = history(story.job, story.settings, [], 0)
    assert [one.value for one in told.seen] == [0.3]
    assert (told.number, told.tried) == (1, [])


moves = st.lists(
    st.one_of(
        st.tuples(st.just("ends"), st.integers(0, 9), st.floats(0, 100)),
        st.tuples(st.just("fails"), st.integers(0, 9), st.just(0.0)),
        st.tuples(st.just("says nothing"), st.integers(0, 9), st.just(0.0)),
        st.tuples(st.just("reports"), st.integers(0, 9), st.floats(0, 100)),
        st.tuples(st.just("waits"), st.just(0), st.floats(0, 300)),
        st.tuples(st.just("stop"), st.just(0), st.just(0.0)),
    ),
    max_size=40,
)
NUMBERS = {"ContinuousParameterRanges": RANGES["ContinuousParameterRanges"]}
KINDS: list[Callable[[int, int], dict[str, Any]]] = [
    lambda number, parallel: configured(ResourceLimits=limits(number, parallel)),
    lambda number, parallel: configured(
        Strategy="Bayesian",
        TrainingJobEarlyStoppingType="Auto",
        ResourceLimits=limits(number, parallel, MaxRuntimeInSeconds=900),
    ),
    lambda number, parallel: configured(
        Strategy="Hyperband",
        StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}},
        ParameterRanges=NUMBERS,
        ResourceLimits=limits(number, parallel),
    ),
    lambda number, parallel: configured(
        Strategy="Grid", ParameterRanges=GRID, ResourceLimits=limits(None, parallel)
    ),
]


def play(story: Story, move: tuple[str, int, float]) -> None:
    what, which, value = move
    if what == "waits":
        story.wait(value)
    elif what == "stop":
        if not story.job.is_final:
            story.job = stop(story.job, story.now)
    elif story.running:
        name = story.running[which % len(story.running)].job.name
        match what:
            case "ends":
                story.ends(name, value)
            case "fails":
                story.ends(name, reason="AlgorithmError: boom")
            case "says nothing":
                story.ends(name)
            case "reports":
                story.reports(name, value)


@given(
    kind=st.sampled_from(KINDS),
    number=st.integers(1, 8),
    parallel=st.integers(1, 4),
    told=moves,
)
def test_laws(
    kind: Callable[[int, int], dict[str, Any]],
    number: int,
    parallel: int,
    told: list[tuple[str, int, float]],
) -> None:
    """Whatever happens: never too many, nothing is launched by a job that is ending, every job
    ends when its trials do, and the same story leads to the same trials."""
    story, again = Story(kind(number, parallel)), Story(kind(number, parallel))
    story.step()
    again.step()
    for move in told:
        launched, ending = len(story.job.trials), story.outcome != ""
        was_final = story.job if story.job.is_final else None
        for one in (story, again):
            play(one, move)
            one.step()
        assert len(story.running) <= parallel
        assert len(story.job.trials) <= story.settings.max_trials
        assert not ending or len(story.job.trials) == launched
        assert was_final is None or story.job == was_final
        assert again.job == story.job
        if story.outcome == "Failed" and not ending:
            # A trial that is being stopped may still report something.
            assert best(story.children, maximize=story.settings.maximize) is None
    while story.running:
        story.ends(story.running[0].job.name, 1.0)
        story.step()
    assert story.job.is_final
    objectives = [child.objective for child in story.children if child.objective is not None]
    top = best(story.children, maximize=story.settings.maximize)
    assert (top.objective if top else None) == min(objectives, default=None)
    counters = training_job_status_counters(story.children)
    assert sum(counters.values()) == len(story.job.trials)
    assert sum(objective_status_counters(story.children).values()) == len(story.job.trials)


@given(values=st.lists(st.floats(0, 100), min_size=1, max_size=20), maximize=st.booleans())
def test_the_only_trial_of_a_job_is_never_stopped_early(
    values: list[float], maximize: bool
) -> None:
    story = Story(
        configured(
            TrainingJobEarlyStoppingType="Auto",
            ResourceLimits=limits(1, 1),
            HyperParameterTuningJobObjective={
                "Type": "Maximize" if maximize else "Minimize",
                "MetricName": "loss",
            },
        )
    )
    story.step()
    for value in values:
        story.reports(story.name(1), value)
        assert story.step().stops == {}
    assert story.job.trials[0].stopped_early is None
