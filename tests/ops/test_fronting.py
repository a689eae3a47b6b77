"""The function and all that belongs to it, made against a Lambda in memory: it converges."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fogbank.core.errors import InputError
from fogbank.ops import fronting
from fogbank.ops.apply import apply
from fogbank.ops.kinds.reserved_concurrency import Account, Desired, obstacle
from fogbank.ops.names import Names
from fogbank.ops.observe import Observed, observe
from fogbank.ops.outcome import outcome
from fogbank.ops.plan import Goal, check, plan, plan_function
from fogbank.ops.step import Step
from fogbank.ops.world import CloudFailure, Interrupted
from fogbank.testing.clock import ManualClock
from ops.conftest import ReadBlueprint
from ops.fake_aws import FakeAws, RecordedProgress, fake_world
from ops.paginator import Paginator

HANDLER = "def handler(event, context):\n    return event\n"


@pytest.fixture
def aws() -> FakeAws:
    return FakeAws()


@pytest.fixture(autouse=True)
def function_py(project: Path) -> None:
    (project / "function.py").write_text(HANDLER)
    write_spec(project)


def write_spec(project: Path, **settings: Any) -> None:
    lines = "".join(f"  {name}: {value}\n" for name, value in settings.items())
    (project / "fogbank.yaml").write_text(
        f"project: pets\nfunction:\n{lines}" if lines else "project: pets\nfunction: {}\n"
    )


def deploy(aws: FakeAws, read_blueprint: ReadBlueprint) -> list[str]:
    """`fogbank function deploy`; what it did."""
    blueprint = read_blueprint()
    observed = observe(aws, blueprint)
    check(blueprint, observed, Goal.FRONTED)
    steps = plan_function(blueprint, observed)
    apply(fake_world(aws, RecordedProgress(), ManualClock()), steps)
    return [f"{step.kind} {step.verb}" for step in steps]


def pets(aws: FakeAws) -> dict[str, Any]:
    return aws.fake_lambda.functions["pets"]


def test_from_nothing_to_an_alias(aws: FakeAws, read_blueprint: ReadBlueprint) -> None:
    assert deploy(aws, read_blueprint) == [
        "log-group create",
        "role create",
        "function create",
        "alias create",
    ]
    assert pets(aws)["aliases"] == {"live": "1"}
    version = pets(aws)["versions"]["1"]
    assert version["Handler"] == "function.handler"
    assert version["Environment"]["Variables"]["ENDPOINT_NAME"] == "pets"
    assert version["zip"]["function.py"].decode() == HANDLER
    assert {"fogbank/__init__.py", "fogbank/front/__init__.py"} <= set(version["zip"])
    assert aws.fake_logs.retention == {"/aws/lambda/pets": 30}
    assert deploy(aws, read_blueprint) == [], "a second run does nothing"


def test_how_it_stands(aws: FakeAws, project: Path, read_blueprint: ReadBlueprint) -> None:
    blueprint = read_blueprint()
    before = outcome(blueprint, observe(aws, blueprint))
    assert (before.function_name, before.function) == ("pets", None)
    assert "create the function pets" in before.to_do
    write_spec(project, reserved_concurrency=5, provisioned_concurrency=3, url="iam")
    deploy(aws, read_blueprint)
    blueprint = read_blueprint()
    after = outcome(blueprint, observe(aws, blueprint)).to_json()["function"]
    assert after == {
        "name": "pets",
        "alias": "live",
        "version": "1",
        "state": "Active",
        "failure_reason": None,
        "reserved_concurrency": 5,
        "provisioned_concurrency": {
            "requested": 3,
            "allocated": 3,
            "available": 3,
            "status": "READY",
            "failure_reason": None,
        },
        "url": "https://abc.lambda-url/",
    }


def test_up_puts_it_behind_the_endpoint(aws: FakeAws, read_blueprint: ReadBlueprint) -> None:
    blueprint = read_blueprint()
    steps = plan(blueprint, observe(aws, blueprint), Goal.FRONTED)
    kinds = [step.kind for step in steps]
    assert kinds.index("endpoint") < kinds.index("function")
    apply(fake_world(aws, RecordedProgress(), ManualClock()), steps)
    assert plan(blueprint, observe(aws, blueprint), Goal.FRONTED) == []


def without_function(project: Path) -> None:
    (project / "fogbank.yaml").write_text("project: pets\n")
    (project / "function.py").unlink()


def test_a_project_without_the_section_has_no_function(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    without_function(project)
    blueprint = read_blueprint()
    observed = observe(aws, blueprint)
    assert not any("function" in step.kind for step in plan(blueprint, observed, Goal.FRONTED))
    assert outcome(blueprint, observed).function_name == ""
    with pytest.raises(InputError, match="no section `function`"):
        plan_function(blueprint, observed)


def test_a_function_that_the_project_no_longer_has_is_taken_away(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    deploy(aws, read_blueprint)
    without_function(project)
    blueprint = read_blueprint()
    observed = observe(aws, blueprint)
    assert plan(blueprint, observed, Goal.TRAINED)[-1].kind == "training-job"
    steps = plan(blueprint, observed, Goal.FRONTED)
    assert [f"{step.kind} {step.verb}" for step in steps[-3:]] == [
        "function delete",
        "role delete",
        "log-group delete",
    ]
    assert {step.reason for step in steps[-3:]} == {"fogbank.yaml has no function any more"}
    stands = outcome(blueprint, observed)
    assert stands.function is not None
    assert "delete the function pets" in stands.to_do
    apply(fake_world(aws, RecordedProgress(), ManualClock()), steps)
    assert aws.fake_lambda.functions == {}
    assert "/aws/lambda/pets" not in aws.fake_logs.groups
    assert "fogbank-pets-front" not in aws.fake_iam.roles
    assert plan(blueprint, observe(aws, blueprint), Goal.FRONTED) == []


def test_a_function_of_somebody_else_is_not_taken_away(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    deploy(aws, read_blueprint)
    pets(aws)["tags"] = {"fogbank:project": "cats"}
    aws.fake_iam.roles["fogbank-pets-front"]["tags"] = []
    aws.fake_logs.tags.clear()
    without_function(project)
    blueprint = read_blueprint()
    observed = observe(aws, blueprint)
    assert not any(step.verb == "delete" for step in plan(blueprint, observed, Goal.FRONTED))
    assert outcome(blueprint, observed).function is None


def test_old_versions_go_and_the_last_ones_stay(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    for number in range(5):
        (project / "function.py").write_text(HANDLER + f"# {number}\n")
        deploy(aws, read_blueprint)
    assert list(pets(aws)["versions"]) == ["$LATEST", "2", "3", "4", "5"]
    pets(aws)["aliases"] = {"live": "5", "before": "2"}  # the second one is somebody's own
    for number in range(5, 8):
        (project / "function.py").write_text(HANDLER + f"# {number}\n")
        deploy(aws, read_blueprint)
    assert list(pets(aws)["versions"]) == ["$LATEST", "2", "5", "6", "7", "8"]


def test_an_update_that_failed_is_followed_by_the_next(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    deploy(aws, read_blueprint)
    aws.fake_lambda.failed_update = "the subnet is gone"
    (project / "function.py").write_text(HANDLER + "# more\n")
    with pytest.raises(CloudFailure, match="cannot be made ready: the subnet is gone"):
        deploy(aws, read_blueprint)
    aws.fake_lambda.failed_update = ""
    assert deploy(aws, read_blueprint) == ["function update", "alias update"]
    assert pets(aws)["aliases"] == {"live": "2"}


def test_new_code_is_a_new_version_and_the_alias_goes_on_to_it(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    deploy(aws, read_blueprint)
    (project / "function.py").write_text(HANDLER + "# more\n")
    assert deploy(aws, read_blueprint) == ["function update", "alias update"]
    assert pets(aws)["aliases"] == {"live": "2"}
    assert pets(aws)["versions"]["1"]["zip"]["function.py"].decode() == HANDLER
    assert deploy(aws, read_blueprint) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"memory_mb": 1024},
        {"timeout_s": 20},
        {"runtime": "python3.12"},
        {"allowed_hosts": '["*.example.com"]'},
    ],
)
def test_settings_are_a_new_version_as_well(
    settings: dict[str, Any], aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    deploy(aws, read_blueprint)
    write_spec(project, **settings)
    assert deploy(aws, read_blueprint) == ["function update", "alias update"]
    assert pets(aws)["aliases"] == {"live": "2"}
    assert deploy(aws, read_blueprint) == []


def test_the_role_may_do_what_it_needs_and_no_more(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    deploy(aws, read_blueprint)
    role = aws.fake_iam.roles["fogbank-pets-front"]
    assert role["trust"]["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}
    allowed = {
        (action, resource)
        for statement in role["inline"]["fogbank"]["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    here = "us-east-1:123456789012"
    expected = {
        ("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:{here}:endpoint/pets"),
        ("logs:CreateLogStream", f"arn:aws:logs:{here}:log-group:/aws/lambda/pets:*"),
        ("logs:PutLogEvents", f"arn:aws:logs:{here}:log-group:/aws/lambda/pets:*"),
    }
    assert allowed == expected
    write_spec(project, s3_prefixes="[s3://uploads/pets/]")
    assert deploy(aws, read_blueprint) == ["role update", "function update", "alias update"]
    statement = role["inline"]["fogbank"]["Statement"][-1]
    assert statement["Action"] == ["s3:GetObject"]
    assert statement["Resource"] == ["arn:aws:s3:::uploads/pets/*"]


def test_concurrency_grows_and_shrinks(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    write_spec(project, reserved_concurrency=5, provisioned_concurrency=3)
    assert deploy(aws, read_blueprint)[-3:] == [
        "reserved-concurrency update",
        "provisioned-concurrency update",
        "provisioned-concurrency wait",
    ]
    assert deploy(aws, read_blueprint) == []
    # The fake refuses, as Lambda does, a reservation below what is provisioned.
    write_spec(project, reserved_concurrency=2, provisioned_concurrency=2)
    assert deploy(aws, read_blueprint) == [
        "provisioned-concurrency update",
        "provisioned-concurrency wait",
        "reserved-concurrency update",
    ]
    write_spec(project)
    assert deploy(aws, read_blueprint) == [
        "provisioned-concurrency delete",
        "reserved-concurrency delete",
    ]
    assert deploy(aws, read_blueprint) == []


def test_provisioned_environments_follow_the_alias(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    write_spec(project, provisioned_concurrency=2)
    deploy(aws, read_blueprint)
    (project / "function.py").write_text(HANDLER + "# more\n")
    assert deploy(aws, read_blueprint) == [
        "function update",
        "alias update",
        "provisioned-concurrency wait",
    ]
    assert pets(aws)["provisioned"]["live"]["Status"] == "READY"


def test_environments_that_do_not_start_are_a_failure_and_tried_again(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    write_spec(project, provisioned_concurrency=2)
    aws.fake_lambda.fail_provisioned = True
    with pytest.raises(CloudFailure, match="FUNCTION_ERROR_INIT_FAILURE"):
        deploy(aws, read_blueprint)
    aws.fake_lambda.fail_provisioned = False
    assert deploy(aws, read_blueprint) == [
        "provisioned-concurrency update",
        "provisioned-concurrency wait",
    ]


def test_urls(aws: FakeAws, project: Path, read_blueprint: ReadBlueprint) -> None:
    write_spec(project, url="public")
    assert deploy(aws, read_blueprint)[-1] == "function-url update"
    assert pets(aws)["urls"] == {"live": "NONE"}
    assert set(pets(aws)["policies"]["live"]) == {"fogbank-url", "fogbank-url-invoke"}
    assert deploy(aws, read_blueprint) == []
    del pets(aws)["policies"]["live"]["fogbank-url"]
    assert deploy(aws, read_blueprint) == ["function-url update"]
    write_spec(project, url="iam")
    assert deploy(aws, read_blueprint) == ["function-url update"]
    assert pets(aws)["urls"] == {"live": "AWS_IAM"}
    assert pets(aws)["policies"]["live"] == {}
    write_spec(project, url="none")
    assert deploy(aws, read_blueprint) == ["function-url delete"]
    assert pets(aws)["urls"] == {}
    assert deploy(aws, read_blueprint) == []


def test_a_new_role_is_waited_for(aws: FakeAws, read_blueprint: ReadBlueprint) -> None:
    aws.fake_lambda.role_takes = 3
    deploy(aws, read_blueprint)
    assert pets(aws)["aliases"] == {"live": "1"}


def test_a_function_of_somebody_else_is_left_alone(
    aws: FakeAws, read_blueprint: ReadBlueprint
) -> None:
    deploy(aws, read_blueprint)
    pets(aws)["tags"] = {}
    with pytest.raises(InputError, match="not this project's"):
        deploy(aws, read_blueprint)


def test_a_failed_function_is_made_anew(aws: FakeAws, read_blueprint: ReadBlueprint) -> None:
    deploy(aws, read_blueprint)
    blueprint = read_blueprint()
    wanted, found = blueprint.fronting(), observe(aws, blueprint).front
    assert wanted is not None
    assert found is not None
    assert found.function is not None
    failed = replace(found, function=replace(found.function, state="Failed", reason="no role"))
    steps = fronting.diff(wanted, failed)
    assert [f"{step.kind} {step.verb}" for step in steps] == [
        "function delete",
        "function create",
        "alias create",
    ]


def test_wherever_it_is_interrupted_the_next_run_completes_it(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    write_spec(project, reserved_concurrency=5, provisioned_concurrency=3, url="public")
    whole = FakeAws()
    deploy(whole, read_blueprint)
    for call in range(1, whole.num_calls + 1):
        aws = FakeAws()
        aws.interrupt_after = call
        with pytest.raises((Interrupted, KeyboardInterrupt)):
            deploy(aws, read_blueprint)
        deploy(aws, read_blueprint)
        assert aws.fake_lambda.functions == whole.fake_lambda.functions, f"after call {call}"
        assert deploy(aws, read_blueprint) == []


def test_code_that_changes_on_the_way_is_not_deployed(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    blueprint = read_blueprint()
    steps = plan_function(blueprint, observe(aws, blueprint))
    (project / "function.py").write_text("# other\n")
    with pytest.raises(InputError, match="changed while this command ran"):
        apply(fake_world(aws, RecordedProgress(), ManualClock()), steps)


def test_a_reservation_that_cannot_be_is_said_before_anything_is_made(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    aws.fake_lambda.limit = 10
    write_spec(project, reserved_concurrency=1)
    with pytest.raises(InputError, match="nothing can be reserved"):
        deploy(aws, read_blueprint)
    assert aws.fake_lambda.functions == {}
    assert aws.fake_iam.roles == {}


@pytest.mark.observed
@pytest.mark.parametrize(
    ("wanted", "found", "limit", "unreserved", "words"),
    [
        (None, None, 10, 10, None),
        (0, None, 10, 10, None),
        (1, None, 10, 10, "nothing can be reserved"),
        (5, 5, 10, 5, None),
        (900, None, 1000, 1000, None),
        (901, None, 1000, 1000, "at most 900 can be reserved"),
        (60, 50, 1000, 110, None),
        (61, 50, 1000, 110, "at most 60 can be reserved"),
        (1, None, 1000, 100, "nothing can be reserved"),
    ],
)
def test_what_can_be_reserved(
    wanted: int | None, found: int | None, limit: int, unreserved: int, words: str | None
) -> None:
    said = obstacle(
        Desired(function="pets", executions=wanted),
        found,
        Account(limit=limit, unreserved=unreserved),
    )
    assert (said is None) if words is None else (said is not None and words in said)


@pytest.mark.model
def test_requests_pass_botocores_validation(
    aws: FakeAws, project: Path, read_blueprint: ReadBlueprint
) -> None:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

    checked: list[str] = []

    class Validated:
        """Checks what Lambda is asked before the fake answers it."""

        model = ServiceModel(Loader().load_service_model("lambda", "service-2"))

        def __getattr__(self, name: str) -> Any:
            operation = "".join(part.capitalize() for part in name.split("_"))

            if name == "get_paginator":
                return lambda listed: Paginator(getattr(self, listed))

            def call(**parameters: Any) -> Any:
                shape = self.model.operation_model(operation).input_shape
                assert shape is not None
                report = ParamValidator().validate(parameters, shape)
                assert not report.has_errors(), report.generate_report()
                checked.append(operation)
                return getattr(aws.fake_lambda, name)(**parameters)

            return call

    class ValidatedAws(FakeAws):
        def client(self, service: str) -> Any:
            return Validated() if service == "lambda" else super().client(service)

    write_spec(project, reserved_concurrency=5, provisioned_concurrency=3, url="public")
    deploy(ValidatedAws(), read_blueprint)
    (project / "function.py").write_text(HANDLER + "# more\n")
    write_spec(project)
    deploy(ValidatedAws(), read_blueprint)
    assert {
        "CreateFunction",
        "UpdateFunctionCode",
        "UpdateFunctionConfiguration",
        "PublishVersion",
        "CreateAlias",
        "UpdateAlias",
        "ListVersionsByFunction",
        "PutFunctionConcurrency",
        "PutProvisionedConcurrencyConfig",
        "CreateFunctionUrlConfig",
        "AddPermission",
        "RemovePermission",
    } <= set(checked)


def test_every_step_says_what_it_does(project: Path, read_blueprint: ReadBlueprint) -> None:
    write_spec(project, reserved_concurrency=5, provisioned_concurrency=3, url="public")
    blueprint = read_blueprint()
    found = fronting.Found(account=Account(limit=1000, unreserved=1000))
    steps: list[Step] = plan_function(blueprint, Observed(front=found))
    assert len(steps) == 8
    for step in steps:
        assert json.loads(json.dumps(step.request)) == step.request
        assert step.message
        assert step.reason


def test_names(read_blueprint: ReadBlueprint) -> None:
    names: Names = read_blueprint().names
    assert names.function_arn == "arn:aws:lambda:us-east-1:123456789012:function:pets"
    assert names.function_log_group == "/aws/lambda/pets"
