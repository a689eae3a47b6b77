"""Plans, done against a cloud in memory: they converge, wherever they are interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from fogbank.core.errors import InputError, WorldError
from fogbank.ops.apply import apply
from fogbank.ops.container_log import endpoint_group
from fogbank.ops.names import Names
from fogbank.ops.observe import observe, observe_tagged
from fogbank.ops.plan import Goal, plan, plan_removal
from fogbank.ops.step import Step
from fogbank.ops.world import CloudFailure, Interrupted
from fogbank.testing.clock import ManualClock
from ops.conftest import ReadBlueprint
from ops.fake_aws import FakeAws, RecordedProgress, fake_world, members, refusal

BUCKET = "fogbank-pets-123456789012-us-east-1"


def go(
    aws: FakeAws, read_blueprint: ReadBlueprint, goal: Goal = Goal.DEPLOYED
) -> tuple[list[Step], RecordedProgress]:
    blueprint = read_blueprint()
    steps = plan(blueprint, observe(aws, blueprint), goal)
    progress = RecordedProgress()
    apply(fake_world(aws, progress, ManualClock()), steps)
    return steps, progress


def state(aws: FakeAws) -> tuple[object, ...]:
    """Everything that there is, but for how often somebody looked."""
    sagemaker = aws.fake_sagemaker
    return (
        aws.fake_s3.buckets,
        aws.fake_s3.tags,
        aws.fake_s3.blocks,
        aws.fake_iam.roles,
        {name: job["status"] for name, job in sagemaker.jobs.items()},
        sagemaker.models,
        sagemaker.configs,
        {name: (item["status"], item["serving"]) for name, item in sagemaker.endpoints.items()},
    )


def test_from_nothing_to_an_endpoint(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    steps, progress = go(aws, read_blueprint)
    assert progress.begun == progress.ended == steps
    assert sorted(key for key in aws.fake_s3.buckets[BUCKET] if key.startswith("data/")) == [
        "data/test/dog/4.jpg",
        "data/train/cat/1.jpg",
        "data/train/dog/2.jpg",
        "data/valid/cat/3.jpg",
    ]
    assert aws.fake_sagemaker.endpoints["pets"]["status"] == "InService"


def test_a_second_run_does_nothing(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    go(aws, read_blueprint)
    before = str(state(aws))
    steps, _ = go(aws, read_blueprint)
    assert steps == []
    assert str(state(aws)) == before


def test_the_model_gets_the_projects_inference_code(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    go(aws, read_blueprint)
    (key,) = (key for key in aws.fake_s3.buckets[BUCKET] if key.startswith("models/"))
    assert members(aws.fake_s3.buckets[BUCKET][key]) == {
        "model.safetensors": b"weights",
        "code/inference.py": b"def model_fn(model_dir): ...\n",
    }
    (model,) = aws.fake_sagemaker.models.values()
    assert model["PrimaryContainer"]["ModelDataUrl"] == f"s3://{BUCKET}/{key}"


def test_the_training_code_is_at_the_archives_root(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    go(aws, read_blueprint, Goal.TRAINED)
    (key,) = (key for key in aws.fake_s3.buckets[BUCKET] if key.startswith("code/"))
    assert members(aws.fake_s3.buckets[BUCKET][key]) == {"train.py": b"print('train')\n"}


def test_wherever_it_is_interrupted_the_next_run_completes_it(
    read_blueprint: ReadBlueprint,
) -> None:
    whole = FakeAws()
    go(whole, read_blueprint)
    num_calls, wanted = whole.num_calls, _sorted_state(whole)
    interrupted = 0
    for call in range(1, num_calls + 1):
        aws = FakeAws()
        aws.interrupt_after = call
        try:
            go(aws, read_blueprint)
        except (Interrupted, KeyboardInterrupt):
            interrupted += 1
        go(aws, read_blueprint)
        assert _sorted_state(aws) == wanted, f"after call {call} of {num_calls}"
        assert go(aws, read_blueprint)[0] == []
    assert interrupted == num_calls


def _sorted_state(aws: FakeAws) -> str:
    """Uploads side by side arrive in any order."""
    objects = {name: sorted(content.items()) for name, content in aws.fake_s3.buckets.items()}
    return str((objects, state(aws)[1:]))


def test_an_interruption_says_what_goes_on(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    blueprint = read_blueprint()
    steps = plan(blueprint, observe(aws, blueprint), Goal.TRAINED)
    create = next(n for n, step in enumerate(steps) if step.kind == "training-job")
    world = fake_world(aws, RecordedProgress(), ManualClock())
    apply(world, steps[: create + 1])
    aws.interrupt_after = aws.num_calls + 1
    with pytest.raises(Interrupted) as caught:
        apply(world, steps[create + 1 :])
    assert f"the training job {blueprint.training().job.base_name} goes on" in str(caught.value)
    assert "same command again" in str(caught.value)


def test_only_changed_pictures_go_up(project: Path, read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    go(aws, read_blueprint, Goal.DATA)
    aws.fake_s3.num_puts = 0
    (project / "data/train/cat/1.jpg").write_bytes(b"changed")
    (project / "data/valid/cat/3.jpg").unlink()
    go(aws, read_blueprint, Goal.DATA)
    assert aws.fake_s3.num_puts == 1
    assert aws.fake_s3.buckets[BUCKET]["data/train/cat/1.jpg"] == b"changed"
    assert "data/valid/cat/3.jpg" not in aws.fake_s3.buckets[BUCKET]


def test_a_picture_that_vanishes_on_the_way(project: Path, read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    blueprint = read_blueprint()
    (project / "data/train/cat/1.jpg").unlink()
    steps = plan(blueprint, observe(aws, blueprint), Goal.DATA)
    with pytest.raises(InputError, match=r"1\.jpg has vanished"):
        apply(fake_world(aws, RecordedProgress(), ManualClock()), steps)


def test_code_that_changes_on_the_way_is_not_stored_under_its_old_hash(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    aws = FakeAws()
    blueprint = read_blueprint()
    (project / "train.py").write_text("print('later')")
    steps = plan(blueprint, observe(aws, blueprint), Goal.TRAINED)
    with pytest.raises(InputError, match="changed while"):
        apply(fake_world(aws, RecordedProgress(), ManualClock()), steps)
    assert not any(key.startswith("code/") for key in aws.fake_s3.buckets[BUCKET])


def test_a_failed_job_shows_its_reason_and_its_last_words(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    aws.fake_sagemaker.fail_jobs = True
    name = read_blueprint().training().job.base_name
    lines = [f"line {number}" for number in range(20)]
    aws.fake_logs.groups["/aws/sagemaker/TrainingJobs"] = {f"{name}/algo-1-17": lines}
    blueprint = read_blueprint()
    steps = plan(blueprint, observe(aws, blueprint), Goal.DEPLOYED)
    progress = RecordedProgress()
    with pytest.raises(CloudFailure) as caught:
        apply(fake_world(aws, progress, ManualClock()), steps)
    assert progress.lines == lines
    assert "AlgorithmError: it raised" in str(caught.value)
    assert "  line 19" in str(caught.value)
    assert "  line 4\n" not in str(caught.value)
    assert not aws.fake_sagemaker.models


def test_after_a_failure_a_new_attempt_gets_a_new_name(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    aws.fake_sagemaker.fail_jobs = True
    with pytest.raises(CloudFailure):
        go(aws, read_blueprint)
    aws.fake_sagemaker.fail_jobs = False
    go(aws, read_blueprint)
    first, second = aws.fake_sagemaker.jobs
    assert second == f"{first}-2"
    assert go(aws, read_blueprint)[0] == []


def test_a_failed_endpoint_shows_why_and_is_replaced(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    aws.fake_sagemaker.fail_endpoints = True
    aws.fake_logs.groups[endpoint_group("pets")] = {"AllTraffic/i-1": ["ImportError: no torch"]}
    with pytest.raises(CloudFailure, match="ping health check") as caught:
        go(aws, read_blueprint)
    assert "  ImportError: no torch" in str(caught.value)
    aws.fake_sagemaker.fail_endpoints = False
    go(aws, read_blueprint)
    assert aws.fake_sagemaker.endpoints["pets"]["status"] == "InService"


def test_an_update_that_is_rolled_back_is_a_failure(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    aws = FakeAws()
    go(aws, read_blueprint)
    serving = aws.fake_sagemaker.endpoints["pets"]["serving"]
    (project / "inference.py").write_text("raise RuntimeError")
    aws.fake_sagemaker.fail_endpoints = True
    with pytest.raises(CloudFailure, match=f"goes on serving {serving}"):
        go(aws, read_blueprint)


def test_down_removes_what_is_tagged_and_keeps_the_data(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    go(aws, read_blueprint)
    _down(aws, delete_data=False)
    sagemaker = aws.fake_sagemaker
    assert (sagemaker.endpoints, sagemaker.configs, sagemaker.models) == ({}, {}, {})
    assert aws.fake_iam.roles == {}
    assert "data/train/cat/1.jpg" in aws.fake_s3.buckets[BUCKET]
    assert _down(aws, delete_data=False) == []
    # The trained model is still there: nothing is trained again.
    assert "training-job" not in {step.kind for step in go(aws, read_blueprint)[0]}


def test_down_with_the_data_leaves_nothing(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    go(aws, read_blueprint)
    _down(aws, delete_data=True)
    assert aws.fake_s3.buckets == {}
    # Jobs cannot be deleted; the model of this one is gone, so it is trained once more.
    go(aws, read_blueprint)
    assert len(aws.fake_sagemaker.jobs) == 2
    assert go(aws, read_blueprint)[0] == []


def test_down_leaves_what_belongs_to_others(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    go(aws, read_blueprint)
    tags = [{"Key": "fogbank:project", "Value": "pets-2"}]
    aws.fake_sagemaker.models["pets-2-abc"] = {"ModelName": "pets-2-abc", "Tags": tags}
    aws.fake_iam.roles["fogbank-pets-2-train"] = {"trust": {}, "tags": tags, "inline": {}}
    aws.fake_sagemaker.models["pets-by-hand"] = {"ModelName": "pets-by-hand", "Tags": []}
    _down(aws, delete_data=True)
    assert set(aws.fake_sagemaker.models) == {"pets-2-abc", "pets-by-hand"}
    assert set(aws.fake_iam.roles) == {"fogbank-pets-2-train"}


def test_down_stops_a_job_that_runs(read_blueprint: ReadBlueprint) -> None:
    aws = FakeAws()
    blueprint = read_blueprint()
    steps = plan(blueprint, observe(aws, blueprint), Goal.TRAINED)
    apply(fake_world(aws, RecordedProgress(), ManualClock()), steps[:-1])
    _down(aws, delete_data=False)
    (job,) = aws.fake_sagemaker.jobs.values()
    assert job["status"] == "Stopped"


def _down(aws: FakeAws, *, delete_data: bool) -> list[Step]:
    from fogbank.core.arn import Scope

    steps = plan_removal(observe_tagged(aws, Names("pets", Scope())), delete_data=delete_data)
    apply(fake_world(aws, RecordedProgress(), ManualClock()), steps)
    return steps


def test_a_refusal_says_which_step_it_was(read_blueprint: ReadBlueprint) -> None:
    class Closed(FakeAws):
        def client(self, service: str) -> object:
            if service == "iam":
                raise refusal("GetRole", "AccessDenied", "not authorized to perform: iam:GetRole")
            return super().client(service)

    with pytest.raises(WorldError) as caught:
        go(Closed(), read_blueprint)
    assert "could not look at what exists of pets" in str(caught.value)
    assert "AccessDenied: not authorized" in str(caught.value)
    assert "permission" in str(caught.value)
