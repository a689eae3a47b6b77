"""Training jobs of several instances as real processes (shell scripts; no torch)."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cloud.machines.training_site import TrainingSite, eventually
from fogbank.cloud.machines.connections import linked
from fogbank.cloud.rules.distribution import MIN_LOOKS

TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
HOST = "$(basename $(dirname $PWD))"


def streams(training: TrainingSite) -> dict[str, list[str]]:
    """The lines of each stream, by the name of its instance."""
    return {
        stream.split("/")[1].rpartition("-")[0]: [event.message for event in events]
        for (_, stream), events in training.logs.streams.items()
    }


def channel(uri: str, distribution: str) -> dict[str, object]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": uri,
        "S3DataDistributionType": distribution,
    }
    return {"ChannelName": distribution, "DataSource": {"S3DataSource": source}}


@pytest.mark.docs
async def test_sharded_channels_are_dealt_out_and_replicated_ones_are_whole(
    training: TrainingSite,
) -> None:
    names = [f"{number}.txt" for number in range(5)]
    for name in names:
        training.objects.add("in", f"data/{name}", name.encode())
    training.runs(
        "cd input/data; ls ShardedByS3Key; ls FullyReplicated | wc -l",
        ResourceConfig=TWO,
        InputDataConfig=[
            channel("s3://in/data", "ShardedByS3Key"),
            channel("s3://in/data", "FullyReplicated"),
        ],
    )
    assert (await training.end()).status == "Completed"
    shards = {host: lines[:-1] for host, lines in streams(training).items()}
    assert sorted(shards["algo-1"] + shards["algo-2"]) == names
    assert {len(shard) for shard in shards.values()} == {2, 3}
    assert [lines[-1] for lines in streams(training).values()] == ["5", "5"]


@pytest.mark.parametrize("engine", ["process"], indirect=True)
async def test_on_one_network_jobs_have_ports_of_their_own(
    training: TrainingSite,
) -> None:
    script = "echo $FOGBANK_MASTER_ADDR:$FOGBANK_MASTER_PORT; echo $FOGBANK_INSTANCE_ADDRESS"
    for name in ("one", "two"):
        training.runs(script, name=name, ResourceConfig=TWO)
    training.runs(script, name="alone")
    for name in ("one", "two", "alone"):
        assert (await training.end(name)).status == "Completed"
    said: dict[str, list[list[str]]] = {"one": [], "two": [], "alone": []}
    for (_, stream), events in sorted(training.logs.streams.items()):
        said[stream.split("/")[0]].append([event.message for event in events])
    meeting = {name: {lines[0] for lines in hosts} for name, hosts in said.items()}
    assert len(meeting["one"]) == len(meeting["two"]) == 1
    assert len({place for places in meeting.values() for place in places}) == 3
    ports = {next(iter(places)).split(":")[1] for places in meeting.values()}
    assert len(ports) == 3, "the store listens on every address: ports must differ"
    for name, places in meeting.items():
        master = next(iter(places)).split(":")[0]
        assert said[name][0][1] == master, "the first instance's own address"
        assert all(host[1] != master for host in said[name][1:])


class Looks:
    """Looks, and makes a file when nobody will look again or it has looked often enough: a busy
    host looks seldom."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._num = 0

    def __call__(self, pids: Sequence[int], ignored_port: int) -> bool:
        found = linked(pids, ignored_port)
        self._num += 1
        if found or self._num > MIN_LOOKS:
            self.file.touch()
        return found


@pytest.fixture
async def looks(training: TrainingSite) -> Looks:
    """How the running cloud of the test looks."""
    looks = Looks(training.home.parent / "enough")
    await training.jobs.stop()
    training.site = replace(training.site, linked=looks)
    training.jobs = training.new_jobs()
    await training.jobs.start()
    return looks


async def test_copies_are_told_in_the_log_and_the_status(
    training: TrainingSite, looks: Looks
) -> None:
    script = f"while [ ! -e {looks.file} ]; do sleep 0.05; done; echo weights > model/m"
    training.runs(script, ResourceConfig={**TWO, "InstanceCount": 4})
    job = await training.end()
    assert job.status == "Completed"
    (warning,) = [line for line in training.logs.lines if "Warning" in line]
    assert "4 of 4 instances trained identical models" in warning
    assert job.transitions[-1].message.endswith(warning)


async def test_instances_that_talk_to_each_other_are_no_copies(
    training: TrainingSite, looks: Looks
) -> None:
    """A process group that the script makes by itself, without a word in the hyperparameters."""
    talk = (
        "import os, socket, sys, time\n"
        "at = (sys.argv[1], int(os.environ.get('FOGBANK_MASTER_PORT', 7777)) + 1)\n"
        "if os.environ['FOGBANK_INSTANCE_ADDRESS'] == socket.gethostbyname(at[0]):\n"
        "    server = socket.create_server(at)\n"
        "    peer, _ = server.accept()\n"
        "else:\n"
        "    while True:\n"
        "        try:\n"
        "            peer = socket.create_connection(at)\n"
        "            break\n"
        "        except OSError:\n"
        "            time.sleep(0.05)\n"
        f"while not os.path.exists('{looks.file}'): time.sleep(0.05)\n"
    )
    command = f'python3 -c "{talk}" ${{FOGBANK_MASTER_ADDR:-algo-1}}'
    training.runs(f"{command} && echo weights > model/m", ResourceConfig=TWO)
    job = await training.end()
    assert (job.status, job.failure_reason) == ("Completed", None)
    assert job.transitions[-1].message == "Training job completed"
    assert not [line for line in training.logs.lines if "Warning" in line]


async def test_the_toolkit_style_is_told_before_it_runs(training: TrainingSite) -> None:
    training.create(ResourceConfig=TWO, HyperParameters={"epochs": "1"})
    await eventually(lambda: bool(training.logs.lines))
    assert training.logs.lines[0].startswith(
        "Warning: this job has 2 instances and no distribution"
    )
    training.stop()
    await training.end()


@pytest.mark.docs
async def test_a_stop_reaches_every_instance(training: TrainingSite) -> None:
    training.runs(
        f"trap 'echo stopped > model/{HOST}; exit 0' TERM; echo ready; "
        "while :; do sleep 0.05; done",
        ResourceConfig=TWO,
    )
    await eventually(lambda: training.logs.lines.count("ready") == 2)
    training.stop()
    assert (await training.end()).status == "Stopped"
    packed = training.objects.content("out", "jobs/dogs/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert sorted(tar.getnames()) == ["algo-1", "algo-2"], "both were told, and both could save"
    assert training.site.shares.num_leases == 0


async def test_the_reason_of_the_one_that_broke_is_the_jobs(training: TrainingSite) -> None:
    training.runs(
        "case $PWD in */algo-1/*) echo 'Connection closed by peer' > output/failure; exit 1;; "
        "esac; sleep 0.3; echo 'ValueError: bad picture' > output/failure; exit 1",
        ResourceConfig=TWO,
    )
    job = await training.end()
    assert job.status == "Failed"
    assert "ValueError: bad picture" in (job.failure_reason or "")
