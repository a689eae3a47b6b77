"""The plan: what was observed -> steps. Cases in tests/cases/ops/plan.json."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fogbank.core.errors import InputError
from fogbank.ops.blueprint import Blueprint
from fogbank.ops.kinds import bucket, data, endpoint, model, role, training_job
from fogbank.ops.observe import Observed, Tagged
from fogbank.ops.plan import Goal, plan, plan_deployment, plan_removal
from ops.conftest import ReadBlueprint

CASES = json.loads((Path(__file__).parents[1] / "cases/ops/plan.json").read_text())["cases"]


def as_it_should_be(blueprint: Blueprint) -> Observed:
    training = blueprint.training()
    job = training.job.base_name
    hosting = blueprint.hosting(training_job.model_uri(training.job, job))
    return Observed(
        bucket=bucket.Found(name=training.bucket.name, project="pets", private=True),
        data={file.name: data.Found(file.size_bytes, file.etag) for file in training.data.files},
        train_role=_role(training.role),
        code=True,
        jobs=(training_job.Found(name=job, status="Completed"),),
        host_role=_role(hosting.role),
        model=model.Found(archive=True, model=True),
        config=True,
        endpoint=endpoint.Found(name="pets", status="InService", config_name=hosting.config.name),
    )


def _role(desired: role.Desired) -> role.Found:
    return role.Found(name=desired.name, project="pets", trust=desired.trust, policy=desired.policy)


def observed_of(case: dict[str, Any], blueprint: Blueprint) -> Observed:
    """What the case says, the rest as it should be where the case says so, or missing."""
    right = as_it_should_be(blueprint)
    named = json.loads(_named(json.dumps(case["observed"]), blueprint))
    given: dict[str, Any] = {name: getattr(right, name) for name in case["right"]}
    for name, value in named.items():
        match name:
            case "bucket":
                given[name] = bucket.Found(**value)
            case "data":
                given[name] = {
                    key: right.data[key] if found == "right" else data.Found(**found)
                    for key, found in value.items()
                }
            case "train_role":
                trust = blueprint.training().role.trust
                given[name] = role.Found(**{**value, "trust": trust})
            case "jobs":
                given[name] = tuple(training_job.Found(**job) for job in value)
            case "endpoint":
                given[name] = endpoint.Found(**value)
            case _:
                raise AssertionError(name)
    return Observed(**given)


def _named(text: str, blueprint: Blueprint) -> str:
    job = blueprint.training().job
    config = blueprint.hosting(training_job.model_uri(job, job.base_name)).config
    return (
        text.replace("{job}", job.base_name)
        .replace("{job-2}", f"{job.base_name}-2")
        .replace("{config}", config.name)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_steps(case: dict[str, Any], read_blueprint: ReadBlueprint) -> None:
    blueprint = read_blueprint()
    steps = plan(blueprint, observed_of(case, blueprint), Goal[case["goal"]])
    found = [[step.kind, step.verb, step.reason] for step in steps]
    assert found == json.loads(_named(json.dumps(case["steps"]), blueprint))


def test_every_step_is_json_and_says_what_it_does(read_blueprint: ReadBlueprint) -> None:
    for step in plan(read_blueprint(), Observed(), Goal.DEPLOYED):
        assert json.loads(json.dumps(step.request)) == step.request
        assert step.message
        assert step.reason


def test_equal_input_gives_equal_names(read_blueprint: ReadBlueprint) -> None:
    assert plan(read_blueprint(), Observed(), Goal.DEPLOYED) == plan(
        read_blueprint(), Observed(), Goal.DEPLOYED
    )


@pytest.mark.parametrize(
    ("path", "content", "kinds"),
    [
        (
            "data/train/cat/1.jpg",
            "another picture",
            {"data", "training-job", "model", "endpoint-config", "endpoint"},
        ),
        (
            "train.py",
            "print('other')",
            {"code", "training-job", "model", "endpoint-config", "endpoint"},
        ),
        (
            "fogbank.yaml",
            "project: pets\ntrain: {hyperparameters: {epochs: 2}}\n",
            {"training-job", "model", "endpoint-config", "endpoint"},
        ),
        ("inference.py", "import os", {"model", "endpoint-config", "endpoint"}),
        (
            "fogbank.yaml",
            "project: pets\nendpoint: {instance_count: 2}\n",
            {"endpoint-config", "endpoint"},
        ),
        ("README.md", "hello", set()),
    ],
)
def test_a_change_redoes_what_follows_from_it_and_nothing_else(
    path: str, content: str, kinds: set[str], project: Path, read_blueprint: ReadBlueprint
) -> None:
    before = as_it_should_be(read_blueprint())
    (project / path).write_text(content)
    after = read_blueprint()
    # What is stored under names that follow from content is not there under new names.
    names = _names(after)
    old_names = as_it_should_be_names(before)
    observed = replace(
        before,
        code="code" not in kinds,
        jobs=before.jobs if names[0] == old_names else (),
        model=model.Found() if "model" in kinds else before.model,
        config="endpoint-config" not in kinds,
    )
    assert {step.kind for step in plan(after, observed, Goal.DEPLOYED)} == kinds
    assert (names[0] == old_names) == ("training-job" not in kinds)


def _names(blueprint: Blueprint) -> tuple[str, str]:
    job = blueprint.training().job
    return job.base_name, blueprint.hosting(training_job.model_uri(job, job.base_name)).config.name


def as_it_should_be_names(observed: Observed) -> str:
    return observed.jobs[0].name


def test_deploying_needs_a_trained_model(read_blueprint: ReadBlueprint) -> None:
    blueprint = read_blueprint()
    right = as_it_should_be(blueprint)
    assert plan_deployment(blueprint, right) == []
    with pytest.raises(InputError, match="fogbank train"):
        plan_deployment(blueprint, replace(right, jobs=()))


def test_another_jobs_model_can_be_deployed(read_blueprint: ReadBlueprint) -> None:
    blueprint = read_blueprint()
    uri = "s3://elsewhere/pets-older/output/model.tar.gz"
    older = training_job.Found(name="pets-older", status="Completed", model_uri=uri)
    observed = replace(as_it_should_be(blueprint), jobs=(), named_job=older)
    steps = plan_deployment(blueprint, observed, "pets-older")
    assert [step.kind for step in steps] == ["endpoint", "endpoint"]
    packed = plan_deployment(blueprint, replace(observed, model=model.Found()), "pets-older")[0]
    assert packed.request["source"] == uri


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (None, "there is no training job pets-older"),
        (training_job.Found(name="pets-older", status="Failed"), "cannot be served: it is Failed"),
        (
            training_job.Found(name="pets-older", status="Completed", has_model=False),
            "it has no model in S3 any more",
        ),
    ],
)
def test_a_job_without_a_model_is_refused_before_anything_is_made(
    job: training_job.Found | None, words: str, read_blueprint: ReadBlueprint
) -> None:
    blueprint = read_blueprint()
    observed = replace(as_it_should_be(blueprint), named_job=job)
    with pytest.raises(InputError, match=words):
        plan_deployment(blueprint, observed, "pets-older")


@pytest.mark.model
def test_requests_pass_botocores_validation(read_blueprint: ReadBlueprint) -> None:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

    sagemaker = ServiceModel(Loader().load_service_model("sagemaker", "service-2"))
    operations = {
        ("training-job", "create"): "CreateTrainingJob",
        ("model", "create"): "CreateModel",
        ("endpoint-config", "create"): "CreateEndpointConfig",
        ("endpoint", "create"): "CreateEndpoint",
    }
    checked = 0
    for step in plan(read_blueprint(), Observed(), Goal.DEPLOYED):
        name = operations.get((step.kind, step.verb))
        if name is not None:
            shape = sagemaker.operation_model(name).input_shape
            assert shape is not None
            report = ParamValidator().validate(step.request, shape)
            assert not report.has_errors(), report.generate_report()
            checked += 1
    assert checked == len(operations)


def test_removal_goes_from_what_serves_to_what_it_needs() -> None:
    tagged = Tagged(
        endpoints=("pets",),
        configs=("pets-c",),
        models=("pets-m",),
        running_jobs=("pets-j",),
        roles=(role.Found(name="fogbank-pets-host", inline_policies=("fogbank",)),),
        bucket=bucket.Found(name="b", project="pets", private=True),
    )
    kept = [(step.kind, step.verb) for step in plan_removal(tagged, delete_data=False)]
    assert kept == [
        ("endpoint", "delete"),
        ("training-job", "stop"),
        ("endpoint-config", "delete"),
        ("model", "delete"),
        ("role", "delete"),
    ]
    assert plan_removal(tagged, delete_data=True)[-1].kind == "bucket"
    assert plan_removal(Tagged(), delete_data=True) == []


def test_several_instances_ask_for_a_process_group_and_one_does_not(
    read_blueprint: ReadBlueprint, project: Path
) -> None:
    def hyperparameters(instance_count: int) -> dict[str, str]:
        (project / "fogbank.yaml").write_text(
            f"project: dogs\ntrain:\n  instance_count: {instance_count}\n"
        )
        return dict(read_blueprint().training().job.request["HyperParameters"])

    assert "sagemaker_torch_distributed_enabled" not in hyperparameters(1)
    assert hyperparameters(2)["sagemaker_torch_distributed_enabled"] == "true"
