"""The life of a training job with a fake engine and a clock moved by hand: who decides when."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.machines.training_site import TrainingSite
from fogbank.cloud.machines.checkpoints import SYNC_S
from fogbank.cloud.machines.engine import Exit
from fogbank.cloud.machines.fake import FakeEngine, FakeInstance
from fogbank.cloud.records.training_job import TrainingJob
from fogbank.testing.clock import ManualClock


class Stage:
    """A cloud of fakes."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(datetime(2026, 11, 21, 12, tzinfo=UTC))
        self.engine = FakeEngine(self.clock)
        self.site = TrainingSite(folder, self.engine, self.clock)

    async def running(self, number: int = 0) -> FakeInstance:
        """The job's program, once it runs."""
        await self.site.until("Training")
        while len(self.engine.instances) <= number:
            await self.clock.settle()
        return self.engine.instances[number]

    async def restart(self) -> None:
        """The cloud is killed and started again."""
        await self.site.jobs.stop()
        self.site.jobs = self.site.new_jobs()
        await self.site.jobs.start()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    await stage.site.jobs.start()
    yield stage
    await stage.site.jobs.stop()


def history(job: TrainingJob) -> list[str]:
    return [entry.status for entry in job.transitions]


@pytest.mark.docs
async def test_the_stages_of_a_job(stage: Stage) -> None:
    stage.site.create()
    program = await stage.running()
    await stage.clock.advance(60)
    (program.spec.base / "model" / "m").write_text("x")
    program.ends(Exit(code=0))
    job = await stage.site.end()
    assert history(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    messages = [entry.message for entry in job.transitions]
    assert len(set(messages)) == len(messages), "the SDK prints a stage when its message is new"
    assert job.training_started is not None
    assert job.training_ended is not None
    assert (job.training_ended - job.training_started).total_seconds() == 60
    assert list(stage.site.objects.buckets["out"]) == ["jobs/dogs/output/model.tar.gz"]


async def test_the_environment_of_the_program(stage: Stage) -> None:
    stage.site.create(Environment={"WHERE": "/opt/ml/model", "TORCH_HOME": "/mine"})
    spec = (await stage.running()).spec
    assert spec.argv[1:] == ("-m", "fogbank.images.training")
    assert dict(spec.env) == {
        "PATH": spec.env["PATH"],
        "PYTHONUNBUFFERED": "1",
        "TORCH_HOME": "/mine",
        "WHERE": f"{spec.base}/model",
        "SAGEMAKER_BASE_DIR": str(spec.base),
        "TRAINING_JOB_NAME": "dogs",
        "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:123456789012:training-job/dogs",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_ACCESS_KEY_ID": "ASIATEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "FOGBANK_OVERLAYS": str(stage.site.home / "overlays"),
        "FOGBANK_MASTER_ADDR": spec.address,
        "FOGBANK_MASTER_PORT": spec.env["FOGBANK_MASTER_PORT"],
        "GLOO_SOCKET_IFNAME": "lo",
    }
    assert spec.attachment is None


async def test_every_line_is_readable_when_the_job_is_final(stage: Stage) -> None:
    seen: list[list[str]] = []
    stage.site.create()
    program = await stage.running()
    stage.site.records.subscribe(
        TrainingJob,
        lambda _: seen.append(stage.site.logs.lines) if stage.site.job().is_final else None,
    )
    program.prints("first\nlast without an end")
    program.ends(Exit(code=0))
    await stage.site.end()
    assert seen[0] == ["first", "last without an end"]


@pytest.mark.docs
async def test_a_job_that_ignores_sigterm_is_killed_after_120_s(stage: Stage) -> None:
    stage.site.create()
    program = await stage.running()
    program.obeys_sigterm = False
    stage.site.stop()
    await stage.clock.advance(119)
    assert program.signals == [signal.SIGTERM]
    assert stage.site.job().status == "Stopping"
    await stage.clock.advance(1)
    assert (await stage.site.end()).status == "Stopped"
    assert program.signals == [signal.SIGTERM, signal.SIGKILL]


@pytest.mark.docs
async def test_the_maximum_runtime_counts_in_the_clocks_time(stage: Stage) -> None:
    stage.site.create(StoppingCondition={"MaxRuntimeInSeconds": 600})
    program = await stage.running()
    await stage.clock.advance(599)
    assert program.signals == []
    await stage.clock.advance(1)
    job = await stage.site.end()
    assert job.secondary_status == "MaxRuntimeExceeded"


@pytest.mark.docs
async def test_no_objects_under_the_prefix(stage: Stage) -> None:
    stage.site.objects.buckets["in"] = {}
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://in/none/"}
    stage.site.create(
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    )
    job = await stage.site.end()
    assert job.status == "Failed"
    assert (job.failure_reason or "").startswith(
        'ClientError: Data download failed:No S3 objects found under S3 URL "s3://in/none/" given'
    )
    assert stage.engine.instances == []


@pytest.mark.docs
async def test_a_hostile_archive_of_code_fails_the_job(stage: Stage) -> None:
    stage.site.objects.add("in", "sourcedir.tar.gz", b"<html>not an archive</html>")
    stage.site.create(HyperParameters={"sagemaker_submit_directory": '"s3://in/sourcedir.tar.gz"'})
    job = await stage.site.end()
    assert job.status == "Failed"
    assert "not a gzip file" in (job.failure_reason or "")


async def test_a_role_that_is_gone_fails_the_job(stage: Stage) -> None:
    stage.site.create(RoleArn="arn:aws:iam::123456789012:role/gone")
    job = await stage.site.end()
    assert job.failure_reason == (
        "ClientError: the role arn:aws:iam::123456789012:role/gone does not exist"
    )


async def test_a_full_disk_while_uploading_is_said_and_leaves_nothing(stage: Stage) -> None:
    stage.site.create()
    program = await stage.running()
    (program.spec.base / "model" / "m").write_text("x")
    stage.site.objects.put_error = OSError(errno.ENOSPC, "No space left on device")
    program.ends(Exit(code=0))
    job = await stage.site.end()
    assert job.status == "Failed"
    assert "No space left on the disk" in (job.failure_reason or "")
    assert stage.site.objects.buckets["out"] == {}


async def test_an_output_bucket_that_is_gone_fails_the_job(stage: Stage) -> None:
    stage.site.create()
    program = await stage.running()
    (program.spec.base / "model" / "m").write_text("x")
    del stage.site.objects.buckets["out"]
    program.ends(Exit(code=0))
    job = await stage.site.end()
    assert job.status == "Failed"
    assert (job.failure_reason or "").startswith("ClientError: Artifact upload failed:")


@pytest.mark.docs
async def test_without_compression_every_file_is_an_object(stage: Stage) -> None:
    stage.site.create(
        OutputDataConfig={"S3OutputPath": "s3://out/jobs/", "CompressionType": "NONE"}
    )
    program = await stage.running()
    (program.spec.base / "model" / "sub").mkdir()
    (program.spec.base / "model" / "sub" / "m").write_text("x")
    program.ends(Exit(code=0))
    await stage.site.end()
    prefix = "jobs/dogs/output/model.tar.gz"  # the service names a prefix for such jobs
    assert list(stage.site.objects.buckets["out"]) == [f"{prefix}/sub/m"]


@pytest.mark.docs
async def test_checkpoints_are_uploaded_while_the_job_runs(stage: Stage) -> None:
    stage.site.create(CheckpointConfig={"S3Uri": "s3://out/ckpt/"})
    program = await stage.running()
    (program.spec.base / "checkpoints" / "1.pt").write_text("one")
    num_looks = 0
    while not stage.site.objects.buckets["out"]:
        num_looks += 1
        await stage.clock.advance(SYNC_S)
        await asyncio.sleep(0.01)  # the folder is read in a thread
    assert num_looks >= 2, "what was seen for the first time may still be being written"
    assert stage.site.objects.content("out", "ckpt/1.pt") == b"one"


async def test_a_job_with_checkpoints_goes_on_after_a_restart(stage: Stage) -> None:
    stage.site.create(CheckpointConfig={"S3Uri": "s3://out/ckpt"})
    program = await stage.running()
    (program.spec.base / "checkpoints" / "1.pt").write_text("one")
    (program.spec.base / "model" / "half").write_text("x")
    await stage.restart()
    again = await stage.running(1)
    assert stage.engine.swept == [stage.site.site.training_root] * 2
    assert stage.site.job().attempt == 2
    assert (again.spec.base / "checkpoints" / "1.pt").read_text() == "one"
    assert list((again.spec.base / "model").iterdir()) == []
    again.ends(Exit(code=0))
    assert (await stage.site.end()).status == "Completed"


async def test_a_job_without_checkpoints_fails_after_a_restart(stage: Stage) -> None:
    stage.site.create()
    await stage.running()
    await stage.restart()
    job = await stage.site.end()
    assert job.status == "Failed"
    assert "the host restarted" in (job.failure_reason or "")


async def test_a_job_that_was_uploading_goes_on_uploading_after_a_restart(stage: Stage) -> None:
    stage.site.create()
    program = await stage.running()
    (program.spec.base / "model" / "m").write_text("x")
    program.ends(Exit(code=0))
    await stage.site.until("Uploading")
    await stage.restart()
    assert (await stage.site.end()).status == "Completed"
    assert list(stage.site.objects.buckets["out"]) == ["jobs/dogs/output/model.tar.gz"]
    assert len(stage.engine.instances) == 1


async def test_stopping_before_anything_runs(stage: Stage) -> None:
    await stage.site.jobs.stop()
    stage.site.create()
    stage.site.stop()
    stage.site.jobs = stage.site.new_jobs()
    await stage.site.jobs.start()
    assert (await stage.site.end()).status == "Stopped"
    assert stage.engine.instances == []


async def test_what_nobody_foresaw_ends_the_job_with_a_reason(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """The service refuses such a regex; a record that has one all the same is a fault of ours."""
    stage.site.create(
        AlgorithmSpecification={"MetricDefinitions": [{"Name": "loss", "Regex": "("}]}
    )
    job = await stage.site.end()
    assert job.status == "Failed"
    assert (job.failure_reason or "").startswith("InternalServerError:")
    assert "Traceback" in caplog.text


async def test_folders_of_jobs_that_are_over_go_at_the_next_start(stage: Stage) -> None:
    left = stage.site.site.training_root / "old" / "algo-1"
    left.mkdir(parents=True)
    await stage.restart()
    assert not left.exists()
