"""Jobs in networks of their own: real processes, names, ports, ways out, and nothing left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cloud.machines.test_process_engine import alive, spec_of
from cloud.machines.training_site import ROLE, TrainingSite, eventually
from fogbank.cloud.machines.choice import choose_engine
from fogbank.cloud.machines.engine import Attachment, EngineError, NetworkSpec
from fogbank.cloud.machines.network import JobNetwork, Links
from fogbank.cloud.machines.process import Namespaces, ProcessEngine
from fogbank.core.clock import SystemClock
from fogbank.core.errors import InputError

TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2}

MEET = """
import os, pathlib, socket, sys, time
host, word, other = socket.gethostname(), *sys.argv[1:]
if host == "algo-1":
    server = socket.create_server(("0.0.0.0", 7777), reuse_port=False)
    here = pathlib.Path(__file__)
    here.with_name(word).touch()
    while not here.with_name(other).exists():
        time.sleep(0.02)
    peer, _ = server.accept()
    peer.sendall(f"the store of {word}".encode())
    peer.recv(1)
else:
    while True:
        try:
            peer = socket.create_connection(("algo-1", 7777))
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    print(peer.recv(100).decode(), flush=True)
    peer.sendall(b".")
"""


@pytest.fixture
def links() -> Links:
    """What connects the instances; tests parametrize it."""
    return "veth"


@pytest.fixture(params=["namespace"])
async def engine(
    namespaces: tuple[Namespaces | None, str], links: Links
) -> AsyncIterator[ProcessEngine]:
    """The engine `namespace` with those links, where this host has them."""
    found, why = namespaces
    if found is None or found.links is None or (links == "veth" != found.links):
        pytest.skip(f"this host has no networks of {links}: {why}")
    engine = ProcessEngine(SystemClock(), os.environ, Namespaces(links))
    yield engine
    await engine.stop()


both = pytest.mark.parametrize("links", ["veth", "loopback"])


@pytest.fixture
def spec(tmp_path: Path) -> NetworkSpec:
    return NetworkSpec(
        name="test",
        folder=tmp_path,
        host_names=("algo-1", "algo-2"),
        cloud_url="http://127.0.0.1:1",
        outside=False,
    )


async def run(
    engine: ProcessEngine, network: JobNetwork, number: int, script: str
) -> tuple[int | None, list[str]]:
    """Exit code and lines of a shell script on instance `number`."""
    folder = network.spec.folder / f"i{number}"
    output = bytearray()
    given = replace(spec_of(folder, script, output), attachment=Attachment(network, number))
    end = await (await engine.start(given)).wait()
    return end.code, output.decode().splitlines()


@both
@pytest.mark.observed
async def test_two_jobs_at_once_meet_on_port_7777_and_not_each_other(
    training: TrainingSite,
) -> None:
    (training.home.parent / "meet.py").write_text(MEET)
    for name, other in (("one", "two"), ("two", "one")):
        training.runs(
            f"{sys.executable} {training.home.parent}/meet.py {name} {other}",
            name=name,
            ResourceConfig=TWO,
        )
    for name in ("one", "two"):
        job = await training.end(name)
        assert job.status == "Completed", job.failure_reason
    said = {
        stream.split("/")[0]: [event.message for event in events if "store" in event.message]
        for (_, stream), events in training.logs.streams.items()
        if "algo-2" in stream
    }
    assert said == {"one": ["the store of one"], "two": ["the store of two"]}
    assert not [line for line in training.logs.lines if "Warning" in line]
    assert training.site.shares.num_leases == 0


@both
@pytest.mark.docs
async def test_instances_have_names(engine: ProcessEngine, spec: NetworkSpec, links: Links) -> None:
    network = await engine.open_network(spec)
    code, lines = await run(
        engine,
        network,
        1,
        "hostname; getent ahostsv4 algo-1 algo-2 localhost | grep STREAM; cat /etc/hosts | wc -l; "
        f"echo x >> /etc/hosts; ls -d /sys /proc/sys/net > /dev/null; "
        f"grep -c {'eth0' if links == 'veth' else 'lo'}: /proc/net/dev",
    )
    assert code == 0, lines
    assert lines[0] == "algo-2"
    found = dict.fromkeys(line.split()[0] for line in lines if "STREAM" in line)
    assert list(found) == ["10.77.0.1", "10.77.0.2", "127.0.0.1"]
    assert network.addresses == ("10.77.0.1", "10.77.0.2")
    assert lines[-1] == "1"
    assert "x" not in (spec.folder / "hosts").read_text()


@pytest.mark.docs
async def test_instances_have_ports_of_their_own(engine: ProcessEngine, spec: NetworkSpec) -> None:
    network = await engine.open_network(spec)
    listen = (
        f"exec {sys.executable} -S -c 'import socket, time; "
        's = [socket.create_server(("0.0.0.0", port)) for port in (80, 8000)]; '
        f"""print("listens", flush=True); open("../../up{{}}", "w").close()
import os
while len([n for n in os.listdir("../..") if n[:2] == "up"]) < 2: time.sleep(0.01)'"""
    )
    ends = await asyncio.gather(
        *(run(engine, network, n, listen.replace("{}", str(n))) for n in range(2))
    )
    assert ends == [(0, ["listens"])] * 2


@both
async def test_the_cloud_answers_at_its_own_address(
    engine: ProcessEngine, spec: NetworkSpec
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b"x" * 3_000_000
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    network = await engine.open_network(replace(spec, cloud_url=f"http://127.0.0.1:{port}"))
    get = (
        f"{sys.executable} -S -c 'from urllib.request import urlopen; "
        f'print(len(urlopen("http://127.0.0.1:{port}").read()))\''
    )
    ends = await asyncio.gather(*(run(engine, network, number, get) for number in range(2)))
    assert ends == [(0, ["3000000"])] * 2
    server.close()
    await server.wait_closed()


async def test_a_cloud_that_is_named_is_found_by_its_name(
    engine: ProcessEngine, spec: NetworkSpec
) -> None:
    network = await engine.open_network(replace(spec, cloud_url="http://fogbank.test:4566"))
    code, lines = await run(engine, network, 0, "getent ahostsv4 fogbank.test | head -1")
    assert (code, lines[0].split()[0]) == (0, "127.0.0.1")


CONNECT = (
    f"exec {sys.executable} -S -c 'import socket, sys\n"
    "try:\n    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1)\n"
    "except OSError as error: print(type(error).__name__, error.errno)\n"
    'else: print("connected")\' '
)


@both
@pytest.mark.docs
async def test_an_isolated_job_reaches_its_own_instances_and_nothing_else(
    training: TrainingSite,
) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    training.site = replace(training.site, endpoint_url=f"http://127.0.0.1:{port}")
    await training.jobs.stop()
    training.jobs = training.new_jobs()
    await training.jobs.start()
    training.objects.add("in", "data/a.txt", b"data")
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://in/data"}
    script = (
        "(cat input/data/train/a.txt; echo; env | grep -cE '^AWS_.*(KEY|TOKEN|ENDPOINT)'; "
        f"for at in '127.0.0.1 {port}' '192.0.2.1 80' '10.77.255.254 80'; do ({CONNECT} $at); "
        "done) > model/said"
    )
    for name, isolated in (("isolated", True), ("open", False)):
        training.runs(
            script,
            name=name,
            RoleArn=ROLE,
            EnableNetworkIsolation=isolated,
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1},
            InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            OutputDataConfig={"S3OutputPath": "s3://out/jobs/", "CompressionType": "NONE"},
        )
        assert (await training.end(name)).status == "Completed"
    said = {
        name: next(
            training.objects.content("out", key).decode().splitlines()
            for key in training.objects.buckets["out"]
            if f"/{name}/" in key and key.endswith("said")
        )
        for name in ("isolated", "open")
    }
    assert said["isolated"][:3] == ["data", "0", "ConnectionRefusedError 111"]
    assert said["isolated"][3] == "OSError 101", "the network is unreachable"
    assert all("Error" in line for line in said["isolated"][2:])
    assert said["open"][1:3] == ["4", "connected"]
    server.close()
    await server.wait_closed()


@pytest.mark.docs
async def test_isolation_that_cannot_be_is_said(tmp_path: Path) -> None:
    clock = SystemClock()
    site = TrainingSite(tmp_path, ProcessEngine(clock, os.environ, None), clock)
    await site.jobs.start()
    site.runs("env | grep -c KEY; true", EnableNetworkIsolation=True)
    assert (await site.end()).status == "Completed"
    assert site.logs.lines[0].startswith("Warning: EnableNetworkIsolation is not enforced")
    assert site.logs.lines[1] == "0"
    await site.jobs.stop()


@both
async def test_there_is_a_way_out_for_programs_that_use_a_proxy(
    engine: ProcessEngine, spec: NetworkSpec
) -> None:
    """As pip and downloads of weights do. `outside` stands for the world."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(first) + first)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    network = await engine.open_network(replace(spec, outside=True))
    fetch = (
        f"exec {sys.executable} -S -c 'import os; from urllib.request import urlopen; "
        'del os.environ["no_proxy"], os.environ["NO_PROXY"]; '
        f'print(urlopen("http://127.0.0.1:{port}/x?y=1").read().decode())\''
    )
    assert await run(engine, network, 1, fetch) == (0, ["GET /x?y=1 HTTP/1.1"])
    server.close()
    await server.wait_closed()


@both
async def test_nobody_inside_changes_the_network(engine: ProcessEngine, spec: NetworkSpec) -> None:
    network = await engine.open_network(spec)
    change = (
        f"exec {sys.executable} -c 'import sys; sys.path.insert(0, sys.argv[1]);\n"
        "from fogbank.cloud.machines.netlink import Netlink\n"
        'try: Netlink().add_bridge("mine")\n'
        'except PermissionError: print("refused")\' ' + str(Path(__file__).parents[3] / "src")
    )
    assert await run(engine, network, 0, change) == (0, ["refused"])


async def test_a_network_that_cannot_be_made_leaves_nothing(
    engine: ProcessEngine, spec: NetworkSpec
) -> None:
    """Here: the cloud's address cannot be that of an interface."""
    before = children()
    with pytest.raises(EngineError, match="test: no network of its own"):
        await engine.open_network(replace(spec, cloud_url="http://[ff02::1]:80"))
    assert children() <= before


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


@both
@pytest.mark.parametrize("victim", ["cloud", "network"])
async def test_kill_leaves_nothing(
    engine: ProcessEngine, tmp_path: Path, links: Links, victim: str
) -> None:
    """SIGKILL to the cloud, also with a network process that cannot see it: the sweep ends it."""
    marker = f"{os.getpid()}{links == 'veth':d}99"
    (tmp_path / "job" / "ml").mkdir(parents=True)
    program = Path(__file__).with_name("one_instance.py")
    cloud = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program), str(tmp_path / "job"), links, marker),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")},
    )
    assert cloud.stdout is not None
    await cloud.stdout.readline()
    processes = psutil.Process(cloud.pid).children(recursive=True)
    inside = {Path(f"/proc/{one.pid}/ns/net").readlink() for one in processes}
    inside.discard(Path("/proc/self/ns/net").readlink())
    assert len(inside) == 1
    (network,) = [one for one in processes if "job_network" in " ".join(one.cmdline())]
    if victim == "network":
        os.kill(network.pid, signal.SIGSTOP)
    cloud.kill()
    await cloud.communicate()
    if victim == "network":
        assert alive([network])
        await engine.sweep(tmp_path)
    await eventually(lambda: not alive(processes))
    assert not inside & set(networks_in_use())


def networks_in_use() -> Iterator[Path]:
    """The network namespaces that a process is in or holds open."""
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            yield Path(f"/proc/{pid}/ns/net").readlink()
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                yield handle.readlink()


async def test_the_choice_says_why(
    namespaces: tuple[Namespaces | None, str], tmp_path: Path
) -> None:
    clock = SystemClock()
    engine, why = await choose_engine("process", clock, os.environ, tmp_path)
    assert (engine.name, engine.can_mount, engine.can_network) == ("process", False, False)
    assert why == "asked for by FOGBANK_ENGINE"
    engine, why = await choose_engine("auto", clock, os.environ, tmp_path)
    assert engine.name == ("process" if namespaces[0] is None else "namespace")
    assert why == namespaces[1]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="'docker', which is no engine: choose one of auto"):
        await choose_engine("docker", clock, os.environ, tmp_path)
