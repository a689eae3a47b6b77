"""`fogbank tune` without a cloud: what is planned, what is asked of AWS, and what training then
uses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fogbank.core.arn import Scope
from fogbank.core.errors import InputError
from fogbank.ops.activity import observe_activity
from fogbank.ops.apply import apply
from fogbank.ops.blueprint import Tuning
from fogbank.ops.names import Names, attempt_of
from fogbank.ops.observe import Observed, observe, observe_tagged
from fogbank.ops.outcome import outcome
from fogbank.ops.plan import Goal, plan, plan_removal, plan_tuning, plan_tuning_stop
from fogbank.ops.search import Search
from fogbank.ops.step import Step
from fogbank.ops.tuned import FILE_NAME, tuned_of, write_tuned
from fogbank.ops.world import CloudFailure, Interrupted
from fogbank.testing.clock import ManualClock
from ops.conftest import ReadBlueprint
from ops.fake_aws import FakeAws, RecordedProgress, fake_world
from ops.test_search import search_of

TUNE = """\
tune:
  objective: {minimize: valid_loss}
  max_jobs: 4
  ranges:
    lr: {min: 1e-4, max: 1e-2, scale: log}
    depth: {min: 1, max: 5}
    size: [32, 64]
"""
SPEC = "project: pets\ntrain: {hyperparameters: {epochs: 3, lr: 0.1}}\n" + TUNE


@pytest.fixture
def project(project: Path) -> Path:
    (project / "fogbank.yaml").write_text(SPEC)
    return project


def tuning_of(read_blueprint: ReadBlueprint) -> Tuning:
    tuning = read_blueprint().tuning()
    assert tuning is not None
    return tuning


def base_name(read_blueprint: ReadBlueprint) -> str:
    return tuning_of(read_blueprint).job.base_name


def kinds(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.kind, step.verb) for step in steps]


def test_from_nothing_to_a_search(read_blueprint: ReadBlueprint) -> None:
    steps = plan_tuning(read_blueprint(), Observed())
    assert kinds(steps) == [
        ("bucket", "create"),
        ("data", "upload"),
        ("role", "create"),
        ("code", "upload"),
        ("tuning-job", "create"),
        ("tuning-job", "wait"),
    ]
    assert steps[-2].message == (
        f"start the tuning job {base_name(read_blueprint)}: Bayesian search, 4 training jobs, 2 at "
        "a time"
    )
    for step in steps:
        assert json.loads(json.dumps(step.request)) == step.request


def test_up_does_not_search(read_blueprint: ReadBlueprint) -> None:
    steps = plan(read_blueprint(), Observed(), Goal.DEPLOYED)
    assert "tuning-job" not in {step.kind for step in steps}


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["InProgress"], [("wait", "", "it is InProgress")]),
        (["Stopping"], [("wait", "", "it is Stopping")]),
        (["Completed"], []),
        (
            ["Failed"],
            [("create", "-2", "{base} failed: all raised"), ("wait", "-2", "its result is needed")],
        ),
        (
            ["Stopped"],
            [("create", "-2", "{base} was stopped"), ("wait", "-2", "its result is needed")],
        ),
        (
            ["Completed without a value"],
            [("create", "-2", "{base} has found nothing"), ("wait", "-2", "its result is needed")],
        ),
        (["Failed", "Completed"], []),
        (["Failed", "InProgress"], [("wait", "-2", "it is InProgress")]),
    ],
    ids=str,
)
def test_what_follows_from_the_attempts_there_are(
    statuses: list[str], expected: list[tuple[str, str, str]], read_blueprint: ReadBlueprint
) -> None:
    base = base_name(read_blueprint)
    attempts = tuple(
        attempt(base if number == 1 else f"{base}-{number}", status)
        for number, status in enumerate(statuses, 1)
    )
    steps = plan_tuning(read_blueprint(), Observed(tunings=attempts))
    found = [
        (step.verb, step.name.removeprefix(base), step.reason)
        for step in steps
        if step.kind == "tuning-job"
    ]
    assert found == [
        (verb, name, reason.replace("{base}", base)) for verb, name, reason in expected
    ]


def attempt(name: str, status: str) -> Search:
    found = search_of(None) if status == "Completed without a value" else search_of(0.5)
    reason = "all raised\nmore" if status == "Failed" else ""
    return replace(found, name=name, status=status.split()[0], reason=reason)


def test_a_spec_that_says_nothing_to_search(project: Path, read_blueprint: ReadBlueprint) -> None:
    (project / "fogbank.yaml").write_text("project: pets\n")
    with pytest.raises(InputError, match="no section `tune`"):
        plan_tuning(read_blueprint(), Observed())


@pytest.mark.model
@pytest.mark.parametrize(
    "more",
    [
        "",
        "  strategy: random\n  max_runtime_s: 3600\n  early_stopping: true\n  seed: 7\n",
        "  strategy: hyperband\n  min_resource: 1\n  max_resource: 9\n",
    ],
)
def test_requests_pass_botocores_validation(
    more: str, project: Path, read_blueprint: ReadBlueprint
) -> None:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

    (project / "fogbank.yaml").write_text(SPEC + more)
    (create,) = (
        step for step in plan_tuning(read_blueprint(), Observed()) if step.kind == "tuning-job"
        and step.verb == "create"
    )  # fmt: skip
    sagemaker = ServiceModel(Loader().load_service_model("sagemaker", "service-2"))
    shape = sagemaker.operation_model("CreateHyperParameterTuningJob").input_shape
    assert shape is not None
    report = ParamValidator().validate(create.request, shape)
    assert not report.has_errors(), report.generate_report()


def test_what_is_asked_of_aws(read_blueprint: ReadBlueprint) -> None:
    request = tuning_of(read_blueprint).job.request
    config = request["HyperParameterTuningJobConfig"]
    assert config["ParameterRanges"] == {
        "ContinuousParameterRanges": [
            {"Name": "lr", "MinValue": "0.0001", "MaxValue": "0.01", "ScalingType": "Logarithmic"}
        ],
        "IntegerParameterRanges": [
            {"Name": "depth", "MinValue": "1", "MaxValue": "5", "ScalingType": "Auto"}
        ],
        "CategoricalParameterRanges": [{"Name": "size", "Values": ["32", "64"]}],
    }
    assert config["ResourceLimits"] == {
        "MaxNumberOfTrainingJobs": 4,
        "MaxParallelTrainingJobs": 2,
    }
    definition = request["TrainingJobDefinition"]
    static = definition["StaticHyperParameters"]
    # AWS refuses what is static and has a range as well.
    assert static["epochs"] == "3"
    assert not {"lr", "depth", "size"} & set(static)
    training = read_blueprint().training().job.request
    assert definition["InputDataConfig"] == training["InputDataConfig"]
    assert definition["HyperParameterTuningResourceConfig"] == training["ResourceConfig"]


def test_a_grid_counts_its_jobs_itself(project: Path, read_blueprint: ReadBlueprint) -> None:
    (project / "fogbank.yaml").write_text(
        "project: pets\ntune:\n  objective: {minimize: valid_loss}\n  strategy: grid\n"
        "  ranges: {a: [1, 2], b: [x, y, z]}\n"
    )
    config = tuning_of(read_blueprint).job.request["HyperParameterTuningJobConfig"]
    assert config["ResourceLimits"] == {"MaxParallelTrainingJobs": 2}
    aws = FakeAws()
    start(aws, read_blueprint)
    assert found_by(aws, read_blueprint).max_trials == 6


@pytest.mark.parametrize(
    ("path", "content", "is_another"),
    [
        ("train.py", "print('other')", True),
        ("data/train/cat/1.jpg", "another picture", True),
        ("fogbank.yaml", SPEC.replace("max: 5", "max: 6"), True),
        ("fogbank.yaml", SPEC.replace("epochs: 3", "epochs: 4"), True),
        ("fogbank.yaml", SPEC + "  seed: 1\n", True),
        # It has a range: the search does not use this value.
        ("fogbank.yaml", SPEC.replace("lr: 0.1", "lr: 0.2"), False),
        ("fogbank.yaml", SPEC + "endpoint: {instance_count: 2}\n", False),
        ("inference.py", "import os", False),
    ],
)
def test_equal_input_is_searched_once(
    path: str, content: str, is_another: bool, project: Path, read_blueprint: ReadBlueprint
) -> None:
    before = base_name(read_blueprint)
    assert base_name(read_blueprint) == before
    (project / path).write_text(content)
    assert (base_name(read_blueprint) != before) == is_another


def test_the_result_takes_no_part_in_the_search(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    """Also where the whole folder is the code."""
    (project / "fogbank.yaml").write_text(SPEC.replace("train: {", "train: {source_dir: ., "))
    before = base_name(read_blueprint)
    found = tuned_of(search_of(0.5))
    assert found is not None
    write_tuned(project, found)
    (project / "report").mkdir()
    (project / "report" / "tuning.csv").write_text("trial")
    assert base_name(read_blueprint) == before


@pytest.mark.model
def test_names_fit_whatever_the_project_is_called(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    """32 characters at most."""
    (project / "fogbank.yaml").write_text(SPEC.replace("pets", "a-project-of-27-characters-"[:26]))
    name = base_name(read_blueprint)
    assert len(f"{name}-99") == 32
    assert attempt_of(name, f"{name}-99") == 99
    assert Names("a23456789012345678-x", Scope()).tuning_job("0" * 10).count("--") == 0
    (project / "fogbank.yaml").write_text(SPEC.replace("pets", "a-project-of-27-characterz"))
    assert base_name(read_blueprint) != name, "equal beginnings, different projects"


def test_a_result_of_another_account_is_still_current(read_blueprint: ReadBlueprint) -> None:
    elsewhere = replace(read_blueprint(), scope=Scope("999999999999", "eu-west-1")).tuning()
    assert elsewhere is not None
    assert elsewhere.job.base_name == base_name(read_blueprint)


# --- against a cloud in memory


def go(aws: FakeAws, read_blueprint: ReadBlueprint) -> tuple[list[Step], RecordedProgress]:
    blueprint = read_blueprint()
    steps = plan_tuning(blueprint, observe(aws, blueprint))
    progress = RecordedProgress()
    apply(fake_world(aws, progress, ManualClock()), steps)
    return steps, progress


def found_by(aws: FakeAws, read_blueprint: ReadBlueprint) -> Search:
    return observe(aws, read_blueprint()).tunings[-1]


def test_a_search_is_followed_to_its_end_and_not_repeated(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    steps, progress = go(aws, read_blueprint)
    statuses = [search.status for search in progress.searches]
    assert statuses == ["InProgress", "InProgress", "Completed"]
    assert progress.ended == steps
    found = found_by(aws, read_blueprint)
    assert [trial.number for trial in found.trials] == [1, 2, 3, 4]
    assert [trial.objective for trial in found.trials] == [0.5, None, 0.25, 1.0]
    assert found.trials[1].reason.startswith("AlgorithmError")
    assert found.best is found.trials[2]
    assert [axis.scale for axis in found.axes] == ["log", "linear", "linear"]
    assert [axis.is_whole for axis in found.axes] == [False, True, False]
    assert found.axes[2].values == ("32", "64")
    assert go(aws, read_blueprint)[0] == []


def test_training_uses_the_best_values_and_says_so(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    aws = FakeAws()
    untuned = read_blueprint().training().job
    go(aws, read_blueprint)
    tuned = tuned_of(found_by(aws, read_blueprint))
    assert tuned is not None
    write_tuned(project, tuned)
    training = read_blueprint().training().job
    assert training.base_name != untuned.base_name
    assert training.request["HyperParameters"].items() >= tuned.hyperparameters.items()
    assert training.request["HyperParameters"]["epochs"] == "3"
    create, _ = plan(read_blueprint(), observe(aws, read_blueprint()), Goal.TRAINED)
    assert create.reason.endswith("lr 0.007525, depth 4, size 64 from tuned.yaml")
    # What was found does not change what is searched.
    assert go(aws, read_blueprint)[0] == []
    (project / FILE_NAME).unlink()
    assert read_blueprint().training().job == untuned


def test_a_result_that_is_out_of_date_is_used_and_it_is_said(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    aws = FakeAws()
    go(aws, read_blueprint)
    tuned = tuned_of(found_by(aws, read_blueprint))
    assert tuned is not None
    write_tuned(project, tuned)

    def now() -> tuple[dict[str, str], tuple[str, ...]]:
        found = outcome(read_blueprint(), observe(aws, read_blueprint()))
        return dict(found.choice.tuned), found.remarks

    assert now() == (tuned.hyperparameters, ())
    (project / "train.py").write_text("print('better')")
    values, remarks = now()
    assert values == tuned.hyperparameters
    assert len(remarks) == 1
    assert "`fogbank tune` searches again" in remarks[0]
    (project / "fogbank.yaml").write_text(SPEC.replace("max: 5", "max: 2"))
    values, remarks = now()
    assert set(values) == {"lr", "size"}
    assert remarks[1] == ("tuned.yaml: depth is not used: 4 is outside its range in fogbank.yaml")
    (project / "fogbank.yaml").write_text("project: pets\n")
    values, remarks = now()
    assert values == {}
    assert len(remarks) == 3


def test_a_search_in_which_every_trial_fails(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    aws.fake_sagemaker.fail_jobs = True
    with pytest.raises(CloudFailure) as caught:
        go(aws, read_blueprint)
    text = str(caught.value)
    name = base_name(read_blueprint)
    assert text.startswith(f"the tuning job {name} failed: No training job succeeded")
    for number in range(1, 5):
        assert f"trial {number}, {name}-00{number}-0a1b2c3d (Failed; " in text
    assert text.count("AlgorithmError: it raised") == 4
    aws.fake_sagemaker.fail_jobs = False
    go(aws, read_blueprint)
    assert list(aws.fake_sagemaker.tunings) == [name, f"{name}-2"]
    assert go(aws, read_blueprint)[0] == []


def start(aws: FakeAws, read_blueprint: ReadBlueprint) -> str:
    """A search that runs, and nobody follows it."""
    blueprint = read_blueprint()
    steps = plan_tuning(blueprint, observe(aws, blueprint))
    apply(fake_world(aws, RecordedProgress(), ManualClock()), steps[:-1])
    return base_name(read_blueprint)


def test_ctrl_c_leaves_it_running_and_says_so(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    name = start(aws, read_blueprint)
    aws.interrupt_after = aws.num_calls + 1
    world = fake_world(aws, RecordedProgress(), ManualClock())
    (wait,) = plan_tuning(read_blueprint(), Observed(tunings=(running(name),)))[-1:]
    with pytest.raises(Interrupted, match=f"the tuning job {name} goes on in the cloud") as caught:
        apply(world, [wait])
    assert "`fogbank tune --stop`" in str(caught.value)
    assert aws.fake_sagemaker.tunings[name]["status"] == "InProgress"
    aws.interrupt_after = None
    steps, _ = go(aws, read_blueprint)
    assert kinds(steps) == [("tuning-job", "wait")]


def running(name: str) -> Search:
    return replace(search_of(0.5), name=name, status="InProgress")


def test_wherever_it_is_interrupted_the_next_run_completes_it(
    read_blueprint: ReadBlueprint,
) -> None:
    whole = FakeAws()
    go(whole, read_blueprint)
    for call in range(1, whole.num_calls + 1):
        aws = FakeAws()
        aws.interrupt_after = call
        with pytest.raises((Interrupted, KeyboardInterrupt)):
            go(aws, read_blueprint)
        go(aws, read_blueprint)
        assert len(aws.fake_sagemaker.tunings) == 1
        assert found_by(aws, read_blueprint).best is not None
        assert go(aws, read_blueprint)[0] == []


def names() -> Names:
    return Names("pets", Scope())


def test_stop_ends_it_and_the_best_of_it_counts(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    name = start(aws, read_blueprint)
    steps = plan_tuning_stop(observe_tagged(aws, names()))
    assert kinds(steps) == [("tuning-job", "stop")]
    world = fake_world(aws, RecordedProgress(), ManualClock())
    apply(world, steps)
    found = found_by(aws, read_blueprint)
    assert (found.name, found.status) == (name, "Stopped")
    assert found.best is not None
    assert plan_tuning_stop(observe_tagged(aws, names())) == []
    apply(world, steps)  # it has ended in the meantime


def test_somebody_else_stops_it(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    name = start(aws, read_blueprint)
    aws.fake_sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    with pytest.raises(CloudFailure, match="was stopped after 4 training jobs"):
        go(aws, read_blueprint)


def test_down_stops_the_search_and_not_each_of_its_trials(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    name = start(aws, read_blueprint)
    assert observe_activity(aws).running_tunings == (name,)
    assert observe_activity(aws).running_jobs == ()
    tagged = observe_tagged(aws, names())
    assert (tagged.running_tunings, tagged.running_jobs) == ((name,), ())
    steps = plan_removal(tagged, delete_data=False)
    assert kinds(steps)[0] == ("tuning-job", "stop")
    apply(fake_world(aws, RecordedProgress(), ManualClock()), steps)
    assert aws.fake_sagemaker.tunings[name]["status"] == "Stopped"
    assert {job["status"] for job in aws.fake_sagemaker.jobs.values()} <= {"Stopped", "Failed"}
    assert observe_tagged(aws, names()).running_tunings == ()


def test_down_leaves_the_searches_of_others(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    start(aws, read_blueprint)
    tagged = observe_tagged(aws, Names("pet", Scope()))
    assert (tagged.running_tunings, tagged.running_jobs) == ((), ())
