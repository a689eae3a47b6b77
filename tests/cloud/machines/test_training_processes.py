"""Training jobs as real processes: what a script may do, and how its job ends."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import tarfile
from pathlib import Path

import psutil
import pytest

from cloud.machines.training_site import TrainingSite, eventually, strategy_of
from fogbank.cloud.machines.process import ProcessEngine
from fogbank.cloud.records.training_job import TrainingJob
from fogbank.core.clock import SystemClock

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isreg()}
        return {name: file.read() for name, file in files.items() if file is not None}


async def assert_over(site: TrainingSite, job: TrainingJob) -> None:
    """Nothing is left of a job that has ended but its record, its log and its output."""
    assert site.site.shares.num_leases == 0
    # Files go after the record has become final.
    await eventually(lambda: not (site.site.training_root / job.name).exists())


@pytest.mark.docs
async def test_a_job_reads_its_input_and_leaves_a_model(training: TrainingSite) -> None:
    training.objects.add("in", "data/train/a.txt", b"alpha")
    training.runs(
        "cp /opt/ml/input/data/train/a.txt model/copy; echo side > output/data/side.txt; "
        "cat input/config/hyperparameters.json; echo; "
        'echo "$TRAINING_JOB_NAME $AWS_REGION $AWS_ACCESS_KEY_ID $GREETING"; '
        'echo "loss: 0.5"; echo "loss: 0.25"',
        HyperParameters={"epochs": "3"},
        Environment={"GREETING": "hello"},
        AlgorithmSpecification={"MetricDefinitions": [{"Name": "loss", "Regex": "loss: (.*)"}]},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://in/data/train"}
                },
            }
        ],
    )
    job = await training.end()
    assert (job.status, job.failure_reason) == ("Completed", None)
    assert members(training.objects.content("out", "jobs/dogs/output/model.tar.gz")) == {
        "copy": b"alpha"
    }
    assert members(training.objects.content("out", "jobs/dogs/output/output.tar.gz")) == {
        "side.txt": b"side\n"
    }
    assert training.logs.lines == [
        '{"epochs": "3"}',
        "dogs us-east-1 ASIATEST hello",
        "loss: 0.5",
        "loss: 0.25",
    ]
    ((group, stream),) = training.logs.streams
    assert group == LOG_GROUP
    assert stream.startswith("dogs/algo-1-")
    assert [(name, datum.value) for name, datum in training.metrics.data] == [
        ("/aws/sagemaker/TrainingJobs", 0.5),
        ("/aws/sagemaker/TrainingJobs", 0.25),
    ]
    assert [(metric.name, metric.value) for metric in job.final_metrics] == [("loss", 0.25)]
    await assert_over(training, job)


@pytest.mark.docs
async def test_a_script_that_fails_gives_the_reason(training: TrainingSite) -> None:
    training.runs("echo fine > model/m; echo 'no such column: breed' > output/failure; exit 3")
    job = await training.end()
    assert job.status == "Failed"
    assert "no such column: breed" in (job.failure_reason or "")
    assert training.objects.buckets["out"] == {}, "a failed job leaves no model"
    await assert_over(training, job)


@pytest.mark.docs
async def test_without_a_failure_file_the_last_words_are_the_reason(
    training: TrainingSite,
) -> None:
    training.runs("echo working; echo 'ValueError: bad picture' >&2; exit 1")
    job = await training.end()
    assert job.status == "Failed"
    assert "ValueError: bad picture" in (job.failure_reason or "")
    assert "exit code: 1" in (job.failure_reason or "").lower()


@pytest.mark.docs
async def test_a_script_that_is_killed_fails(training: TrainingSite) -> None:
    training.runs("kill -9 $$")
    job = await training.end()
    assert job.status == "Failed"
    assert "9" in (job.failure_reason or "")


@pytest.mark.docs
async def test_more_memory_than_the_share_ends_the_job(
    engine: ProcessEngine, tmp_path: Path
) -> None:
    clock = SystemClock()
    site = TrainingSite(tmp_path, engine, clock, strategy_of(engine), memory_bytes=128 << 20)
    await site.jobs.start()
    site.runs("exec python3 -c 'import time; hog = bytearray(400 << 20); time.sleep(60)'")
    job = await site.end()
    await site.jobs.stop()
    assert job.status == "Failed"
    assert "memory" in (job.failure_reason or "")


@pytest.mark.docs
async def test_success_without_a_model_is_completed(training: TrainingSite) -> None:
    training.runs("mkdir model/empty; echo done")
    job = await training.end()
    assert job.status == "Completed"
    assert training.objects.buckets["out"] == {}
    await assert_over(training, job)


@pytest.mark.docs
async def test_a_stopped_job_keeps_what_it_saved_on_sigterm(training: TrainingSite) -> None:
    training.runs(
        "trap 'echo saved > model/m; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    )
    await eventually(lambda: "ready" in training.logs.lines)
    training.stop()
    job = await training.end()
    assert job.status == "Stopped"
    assert members(training.objects.content("out", "jobs/dogs/output/model.tar.gz")) == {
        "m": b"saved\n"
    }
    await assert_over(training, job)


@pytest.mark.docs
async def test_a_job_is_stopped_after_its_maximum_runtime(training: TrainingSite) -> None:
    training.runs("exec sleep 1000", StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = await training.end()
    assert (job.status, job.secondary_status) == ("Stopped", "MaxRuntimeExceeded")
    await assert_over(training, job)


async def test_processes_that_a_job_leaves_behind_are_killed(training: TrainingSite) -> None:
    marker = f"{os.getpid()}{training.engine.can_mount:d}77"
    training.runs(
        f"setsid sleep {marker} & (setsid sh -c 'sleep {marker} & sleep {marker}' &); "
        "sleep 0.2; echo x > model/m"
    )
    assert (await training.end()).status == "Completed"
    left = [p for p in psutil.process_iter(["cmdline"]) if marker in (p.info["cmdline"] or ())]
    assert left == []


@pytest.mark.docs
async def test_two_instances_know_each_other_and_their_models_are_merged(
    training: TrainingSite,
) -> None:
    training.runs(
        "cp input/config/resourceconfig.json model/$(basename $(dirname $PWD)).json; "
        "echo $FOGBANK_INSTANCE_ADDRESS > model/address-$(basename $(dirname $PWD))",
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2},
    )
    assert (await training.end()).status == "Completed"
    model = members(training.objects.content("out", "jobs/dogs/output/model.tar.gz"))
    assert sorted(model) == ["address-algo-1", "address-algo-2", "algo-1.json", "algo-2.json"]
    assert b'"current_host": "algo-2"' in model["algo-2.json"]
    assert b'"hosts": ["algo-1", "algo-2"]' in model["algo-2.json"]
    assert model["address-algo-1"] != model["address-algo-2"]


@pytest.mark.docs
async def test_one_failing_instance_ends_the_others(training: TrainingSite) -> None:
    training.runs(
        'case $PWD in */algo-2/*) echo "rank 1 broke"; exit 7;; esac; exec sleep 1000',
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2},
    )
    job = await training.end()
    assert job.status == "Failed"
    assert "rank 1 broke" in (job.failure_reason or "")
    await assert_over(training, job)


@pytest.mark.docs
async def test_checkpoints_are_restored_and_uploaded(training: TrainingSite) -> None:
    training.objects.add("in", "ckpt/epoch/1.pt", b"one")
    training.runs(
        "cat checkpoints/epoch/1.pt; echo two > checkpoints/epoch/2.pt",
        CheckpointConfig={"S3Uri": "s3://in/ckpt"},
    )
    assert (await training.end()).status == "Completed"
    assert training.logs.lines == ["one"]
    assert sorted(training.objects.buckets["in"]) == ["ckpt/epoch/1.pt", "ckpt/epoch/2.pt"]
    assert training.objects.content("in", "ckpt/epoch/2.pt") == b"two\n"


async def test_a_link_to_somebody_elses_file_is_not_uploaded(
    training: TrainingSite, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the key")
    training.runs(
        f"ln -s {secret} model/key; ln -s {tmp_path} model/folder; ln {secret} model/hard; "
        f"mkfifo model/pipe; echo x > model/m; ln -s m model/inside; "
        f"ln -s {secret} checkpoints/key; rm -r output/data; ln -s {tmp_path} output/data",
        CheckpointConfig={"S3Uri": "s3://out/ckpt"},
    )
    assert (await training.end()).status == "Completed"
    assert sorted(training.objects.buckets["out"]) == ["jobs/dogs/output/model.tar.gz"]
    packed = training.objects.content("out", "jobs/dogs/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        names = set(tar.getnames()) - {"hard"}  # a hard link is a file that it could read anyway
        assert names == {"m", "inside"}
    assert any("model: key is a link" in line for line in training.logs.lines)


async def test_a_program_that_does_not_exist_is_the_callers_error(training: TrainingSite) -> None:
    training.create(
        AlgorithmSpecification={"TrainingImage": "i", "ContainerEntrypoint": ["/no/such"]}
    )
    job = await training.end()
    assert job.status == "Failed"
    assert "/no/such" in (job.failure_reason or "")
    await assert_over(training, job)


async def test_a_server_that_was_killed_leaves_no_processes(
    engine: ProcessEngine, tmp_path: Path
) -> None:
    """The socket closes when the cloud dies, by whatever signal: its instances end by themselves;
    what survives even that is found by its record and its mark."""
    marker = f"{os.getpid()}{engine.can_mount:d}88"
    links = engine.links or ("mounts" if engine.can_mount else "process")
    (tmp_path / "job" / "ml").mkdir(parents=True)
    program = Path(__file__).with_name("one_instance.py")
    cloud = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program), str(tmp_path / "job"), links, marker),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")},
    )
    assert cloud.stdout is not None
    supervisor = int(await cloud.stdout.readline())
    os.kill(supervisor, signal.SIGSTOP)  # now it cannot see that the cloud is gone
    cloud.kill()
    await cloud.communicate()
    assert psutil.pid_exists(supervisor)
    assert await engine.sweep(tmp_path) == ["orphan"]
    left = [p for p in psutil.process_iter(["cmdline"]) if marker in (p.info["cmdline"] or ())]
    assert left == []
    assert await engine.sweep(tmp_path) == []
