"""Real instances: start, ends, signals, memory, orphans."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cloud.machines.training_site import eventually
from fogbank.cloud.machines.engine import EngineError, Exit, InstanceSpec, Share, View
from fogbank.cloud.machines.process import ProcessEngine, inherited_environment
from fogbank.core.clock import SystemClock


def spec_of(folder: Path, script: str, output: bytearray | None = None) -> InstanceSpec:
    (folder / "ml").mkdir(parents=True, exist_ok=True)
    return InstanceSpec(
        name="test",
        folder=folder,
        base=folder / "ml",
        argv=("/bin/sh", "-c", script),
        env={"MINE": "1"},
        cwd=folder / "ml",
        share=Share((0,), 1 << 30),
        address="127.77.0.9",
        output=(bytearray() if output is None else output).extend,
    )


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Without zombies: those wait for the host's init, which takes its time."""
    return [
        process
        for process in processes
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


async def run(engine: ProcessEngine, folder: Path, script: str) -> tuple[Exit, str]:
    output = bytearray()
    instance = await engine.start(spec_of(folder, script, output))
    return await instance.wait(), output.decode()


@pytest.mark.parametrize(
    ("script", "code", "signal_number"),
    [("exit 0", 0, None), ("exit 3", 3, None), ("kill -9 $$", None, 9), ("kill -11 $$", None, 11)],
)
async def test_how_a_program_ends(
    engine: ProcessEngine, tmp_path: Path, script: str, code: int | None, signal_number: int | None
) -> None:
    end, _ = await run(engine, tmp_path, script)
    assert (end.code, end.signal, end.oom) == (code, signal_number, False)


async def test_output_and_last_words(engine: ProcessEngine, tmp_path: Path) -> None:
    end, output = await run(
        engine,
        tmp_path,
        "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo e >&2",
    )
    assert output.splitlines() == [*(f"line {n}" for n in range(2000)), "e"]
    assert end.last_words.endswith("line 1999\ne")
    assert end.last_words.startswith("line ")
    assert len(end.last_words) <= 4096


async def test_what_a_program_is_given(engine: ProcessEngine, tmp_path: Path) -> None:
    _, output = await run(
        engine,
        tmp_path,
        "pwd; echo $MINE $SAGEMAKER_BASE_DIR $FOGBANK_INSTANCE_ADDRESS $OMP_NUM_THREADS; nice; "
        "cat /proc/self/oom_score_adj; ulimit -c; nproc; cat; env | grep -c AWS_",
    )
    assert output.splitlines() == [
        str(tmp_path / "ml"),
        f"1 {tmp_path}/ml 127.77.0.9 1",
        str(os.nice(0) + 10),
        *("800", "0", "1", "0"),
    ]


@pytest.mark.docs
@pytest.mark.parametrize("engine", ["enclosed"], indirect=True)
async def test_an_enclosed_program_has_opt_ml(engine: ProcessEngine, tmp_path: Path) -> None:
    """SageMaker's contract with containers: programs may name /opt/ml itself."""
    before = {path.name for path in Path("/opt").iterdir()}
    end, output = await run(
        engine, tmp_path, "echo made > /opt/ml/here && cat here && ls -A /opt && ls -A /opt/ml"
    )
    assert end.ok, output
    assert (tmp_path / "ml" / "here").read_text() == "made\n"
    assert output.splitlines() == ["made", *sorted({*before, "ml"}), "here"]
    assert {path.name for path in Path("/opt").iterdir()} == before


@pytest.mark.parametrize("engine", ["enclosed"], indirect=True)
async def test_what_opt_has_is_there_with_opt_ml(engine: ProcessEngine, tmp_path: Path) -> None:
    """Interpreters live in /opt, too: folders, links and files of it are what they were."""
    listing = "find /opt -maxdepth 2 -not -path '/opt/ml*' -not -path /opt -printf '%y %s %p %l\\n'"
    _, inside = await run(engine, tmp_path, listing)
    outside = await asyncio.create_subprocess_exec("sh", "-c", listing, stdout=subprocess.PIPE)
    expected, _ = await outside.communicate()
    assert sorted(inside.splitlines()) == sorted(expected.decode().splitlines())
    await run(engine, tmp_path, "touch /opt/new")
    assert not Path("/opt/new").exists()


def test_credentials_of_the_cloud_are_not_inherited() -> None:
    given = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "y", "NO_PROXY": "a"}
    assert inherited_environment(given) == {
        "PATH": "/bin",
        "NO_PROXY": "a,127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


async def test_terminate_lets_a_program_finish(engine: ProcessEngine, tmp_path: Path) -> None:
    output = bytearray()
    instance = await engine.start(
        spec_of(
            tmp_path, "trap 'echo bye; exit 4' TERM; echo on; while :; do sleep 0.02; done", output
        )
    )
    await eventually(lambda: b"on" in output)
    end = await instance.terminate(30)
    assert (end.code, end.last_words.splitlines()[-1]) == (4, "bye")
    assert await instance.terminate(30) == end == await instance.kill()


async def test_terminate_kills_who_does_not_listen(engine: ProcessEngine, tmp_path: Path) -> None:
    output = bytearray()
    script = "trap '' TERM; echo on; while :; do sleep 1; done"
    instance = await engine.start(spec_of(tmp_path, script, output))
    await eventually(lambda: b"on" in output)
    assert (await instance.terminate(0.05)).signal == signal.SIGKILL


async def test_kill_reaches_processes_that_went_away(engine: ProcessEngine, tmp_path: Path) -> None:
    output = bytearray()
    script = (
        "setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &); sleep 0.1; echo on; wait"
    )
    instance = await engine.start(spec_of(tmp_path, script, output))
    await eventually(lambda: b"on" in output)
    below = psutil.Process(instance.pid).children(recursive=True)
    assert len(below) >= 4
    assert instance.usage().num_processes >= 4
    await instance.kill()
    assert alive(below) == []
    assert instance.usage().num_processes == 0
    assert not (tmp_path / "process.json").exists()


async def test_memory_is_counted_over_all_processes(engine: ProcessEngine, tmp_path: Path) -> None:
    hog = f"{sys.executable} -S -c 'import time; x = bytearray(60 << 20); time.sleep(60)'"
    spec = spec_of(tmp_path, f"{hog} & {hog} & {hog} & wait")
    small = replace(spec, share=Share((0,), 120 << 20))
    end = await (await engine.start(small)).wait()
    assert (end.oom, end.signal) == (True, signal.SIGKILL)


async def test_shared_pages_count_once(engine: ProcessEngine, tmp_path: Path) -> None:
    """Workers of a data loader share their parent's memory: 4 x 60 MB are 60 MB."""
    fork = (
        "import os, time; x = bytearray(60 << 20); "
        "[os.fork() or (time.sleep(0.7), os._exit(0)) for _ in range(3)]; time.sleep(0.7)"
    )
    spec = spec_of(tmp_path, f"exec {sys.executable} -S -c '{fork}'")
    small = replace(spec, share=Share((0,), 160 << 20))
    end = await (await engine.start(small)).wait()
    assert (end.oom, end.code) == (False, 0)


async def test_a_killed_supervisor_takes_everything_with_it(
    engine: ProcessEngine, tmp_path: Path
) -> None:
    output = bytearray()
    instance = await engine.start(
        spec_of(tmp_path, "setsid sleep 1000 & echo on; sleep 1000", output)
    )
    await eventually(lambda: b"on" in output)
    below = psutil.Process(instance.pid).children(recursive=True)
    os.kill(instance.pid, signal.SIGKILL)
    assert (await instance.wait()).signal == signal.SIGKILL
    # They have been killed; the kernel takes them apart.
    await eventually(lambda: not alive(below))


@pytest.mark.parametrize("argv", [("/no/such",), ("/etc/passwd",)])
async def test_a_program_that_cannot_start(
    engine: ProcessEngine, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    spec = spec_of(tmp_path, "")
    with pytest.raises(EngineError, match=argv[0]):
        await engine.start(replace(spec, argv=argv))
    assert not (tmp_path / "process.json").exists()


async def test_views_need_an_engine_that_mounts(tmp_path: Path) -> None:
    engine = ProcessEngine(SystemClock(), {}, can_mount=False)
    spec = spec_of(tmp_path, "")
    with_view = replace(spec, views=(View(tmp_path, tmp_path, tmp_path),))
    with pytest.raises(EngineError, match="views"):
        await engine.start(with_view)


async def test_stop_ends_what_runs(engine: ProcessEngine, tmp_path: Path) -> None:
    instances = [
        await engine.start(spec_of(tmp_path / str(number), "sleep 1000")) for number in range(3)
    ]
    await engine.stop()
    assert [(await instance.wait()).signal for instance in instances] == [9, 9, 9]


async def test_a_record_of_another_process_ends_nobody(
    engine: ProcessEngine, tmp_path: Path
) -> None:
    """A process number is used again: the time of its start tells one from the other."""
    bystander = await asyncio.create_subprocess_exec("sleep", "1000")
    await asyncio.sleep(0.03)  # the kernel counts starts in hundredths of a second
    instance = await engine.start(spec_of(tmp_path / "a", "sleep 1000"))
    record = (tmp_path / "a" / "process.json").read_text()
    await instance.kill()
    (tmp_path / "a" / "process.json").write_text(
        record.replace(f'"pid": {instance.pid}', f'"pid": {bystander.pid}')
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "process.json").write_text('{"pid": ')
    assert await engine.sweep(tmp_path) == []
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()
