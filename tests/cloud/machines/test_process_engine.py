"""Real instances: start, ends, signals, memory, orphans."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cloud.machines.training_site import eventually
from fogbank.cloud.machines.engine import Bind, EngineError, Exit, InstanceSpec, Share, View
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
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


async def run(
    engine: ProcessEngine, folder: Path, script: str, *, binds: tuple[Bind, ...] = ()
) -> tuple[Exit, str]:
    output = bytearray()
    instance = await engine.start(replace(spec_of(folder, script, output), binds=binds))
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
        "pwd; echo $MINE $FOGBANK_INSTANCE_ADDRESS $OMP_NUM_THREADS; nice; "
        "cat /proc/self/oom_score_adj; ulimit -c; nproc; cat; env | grep -c AWS_",
    )
    assert output.splitlines() == [
        str(tmp_path / "ml"),
        "1 127.77.0.9 1",
        str(os.nice(0) + 10),
        *("800", "0", "1", "0"),
    ]


@pytest.mark.docs
@pytest.mark.parametrize("engine", ["namespace"], indirect=True)
async def test_an_enclosed_program_has_opt_ml(engine: ProcessEngine, tmp_path: Path) -> None:
    """SageMaker's contract with containers: programs may name /opt/ml itself."""
    before = {path.name for path in Path("/opt").iterdir()}
    bind = Bind(tmp_path / "ml", Path("/opt/ml"))
    end, output = await run(
        engine,
        tmp_path,
        "echo made > /opt/ml/here && cat here && ls -A /opt && ls -A /opt/ml",
        binds=(bind,),
    )
    assert end.ok, output
    assert (tmp_path / "ml" / "here").read_text() == "made\n"
    assert output.splitlines() == ["made", *sorted({*before, "ml"}), "here"]
    assert {path.name for path in Path("/opt").iterdir()} == before


@pytest.mark.parametrize("engine", ["namespace"], indirect=True)
async def test_what_opt_has_is_there_with_opt_ml(engine: ProcessEngine, tmp_path: Path) -> None:
    """Interpreters live in /opt, too: folders, links and files of it are what they were."""
    binds = (Bind(tmp_path / "ml", Path("/opt/ml")),)
    listing = "find /opt -maxdepth 2 -not -path '/opt/ml*' -not -path /opt -printf '%y %s %p %l\\n'"
    _, inside = await run(engine, tmp_path, listing, binds=binds)
    outside = await asyncio.create_subprocess_exec("sh", "-c", listing, stdout=subprocess.PIPE)
    expected, _ = await outside.communicate()
    assert sorted(inside.splitlines()) == sorted(expected.decode().splitlines())
    await run(engine, tmp_path, "touch /opt/new", binds=binds)
    assert not Path("/opt/new").exists()


@pytest.mark.docs
@pytest.mark.parametrize("engine", ["namespace"], indirect=True)
async def test_code_that_can_only_be_read(engine: ProcessEngine, tmp_path: Path) -> None:
    """Lambda's /var/task, and a second folder beside it. /var keeps what it has."""
    for name in ("task", "runtime"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    binds = tuple(
        Bind(tmp_path / name, Path("/var") / name, read_only=True) for name in ("task", "runtime")
    )
    binds += (Bind(tmp_path / "task" / "file", Path("/var/lib/fogbank-test/hosts")),)
    end, output = await run(
        engine,
        tmp_path,
        "cat /var/task/file /var/runtime/file /var/lib/fogbank-test/hosts; ls -A /var; "
        "echo x > /var/task/file; touch /var/task/new; mount -o remount,rw /var/task; "
        "umount /var/task; echo x > /var/task/file || exit 7",
        binds=binds,
    )
    assert end.code == 7, output
    names = sorted({path.name for path in Path("/var").iterdir()} | {"task", "runtime"})
    assert output.splitlines()[0].startswith("taskruntimetask")
    assert set(names) <= {output.splitlines()[0][15:], *output.splitlines()[1:]}
    assert (tmp_path / "task" / "file").read_text() == "task"
    assert not Path("/var/lib/fogbank-test").exists()


async def test_tmp_of_its_own(engine: ProcessEngine, tmp_path: Path) -> None:
    """A folder that no other instance sees; what is kept stays, also below /tmp."""
    for name in ("own", "kept", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "kept" / "file").write_text("kept\n")
    spec = replace(
        spec_of(
            tmp_path,
            "touch ${TMPDIR:-/tmp}/made beside && cat ../kept/file && test ! -e ../home/key",
            output := bytearray(),
        ),
        tmp=tmp_path / "own",
        kept=(tmp_path / "kept",),
    )
    if engine.can_mount:
        (tmp_path / "home" / "key").touch()
        spec = replace(spec, hidden=(tmp_path / "home",))
    end = await (await engine.start(spec)).wait()
    assert end.ok, output
    assert output == b"kept\n"
    assert (tmp_path / "own" / "made").exists()
    assert (tmp_path / "ml" / "beside").exists()
    assert not Path("/tmp/made").exists()


@pytest.mark.parametrize("engine", ["namespace"], indirect=True)
async def test_a_place_that_cannot_be_made(engine: ProcessEngine, tmp_path: Path) -> None:
    binds = (Bind(tmp_path, Path("/fogbank-test/x")),)
    with pytest.raises(EngineError, match="/fogbank-test/x: no folder above it exists"):
        await run(engine, tmp_path, "true", binds=binds)


TICK = (
    "import os, time\n"
    "os.fork() or os.setsid()\n"
    "while True:\n"
    "    os.write(1, b'.'); time.sleep(0.002)\n"
)
"""Two processes, of which one has a session of its own, that print all the time."""


async def prints(output: bytearray) -> bool:
    """Whether something is printed within a tenth of a second (after what was on its way)."""
    await asyncio.sleep(0.05)
    before = len(output)
    await asyncio.sleep(0.1)
    return len(output) > before


async def test_freeze_and_thaw(engine: ProcessEngine, tmp_path: Path) -> None:
    output = bytearray()
    (tmp_path / "tick.py").write_text(TICK)
    script = f"setsid {sys.executable} -S ../tick.py & wait"
    instance = await engine.start(spec_of(tmp_path, script, output))
    await eventually(lambda: len(output) > 10)
    for _ in range(2):
        await instance.freeze()
        await instance.freeze()
        assert not await prints(output)
        assert instance.usage().num_processes >= 2
        instance.thaw()
        instance.thaw()
        assert await prints(output)
    await instance.kill()
    await instance.freeze()
    instance.thaw()
    assert instance.usage().num_processes == 0


async def test_a_fork_does_not_escape_the_frost(engine: ProcessEngine, tmp_path: Path) -> None:
    """Processes that fork and leave all the time; when freeze returns, all have stopped."""
    output = bytearray()
    script = "while :; do (setsid sh -c 'echo -n . ; : & :' &); done"
    instance = await engine.start(spec_of(tmp_path, script, output))
    for _ in range(5):
        assert await prints(output)
        await instance.freeze()
        assert not await prints(output)
        instance.thaw()
    await instance.kill()


async def test_a_parent_in_vfork_is_frozen_with_its_child(
    engine: ProcessEngine, tmp_path: Path
) -> None:
    """It hears no signal until its child becomes another program, and that one is stopped."""
    output = bytearray()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "vfork.py").write_text(
        "import os\n"
        "print('on', flush=True)\n"
        "wait = [(os.POSIX_SPAWN_OPEN, 0, '../fifo', os.O_RDONLY, 0)]\n"
        "os.posix_spawn('/bin/true', ['true'], {}, file_actions=wait)\n"
        "print('parent', flush=True)\n"
    )
    instance = await engine.start(spec_of(tmp_path, f"exec {sys.executable} ../vfork.py", output))
    await eventually(lambda: b"on" in output and instance.usage().num_processes == 2)
    await instance.freeze()
    instance.thaw()
    os.close(await asyncio.to_thread(os.open, tmp_path / "fifo", os.O_WRONLY))
    assert (await instance.wait()).ok
    assert output.endswith(b"parent\n")


@pytest.mark.parametrize("how", ["terminate", "kill"])
async def test_the_end_of_a_frozen_instance(
    engine: ProcessEngine, tmp_path: Path, how: str
) -> None:
    output = bytearray()
    script = "trap 'echo bye; exit 4' TERM; echo on; while :; do sleep 0.02; done"
    instance = await engine.start(spec_of(tmp_path, script, output))
    await eventually(lambda: b"on" in output)
    await instance.freeze()
    if how == "kill":
        assert (await instance.kill()).signal == signal.SIGKILL
    else:
        assert (await instance.terminate(30)).code == 4


async def test_what_the_program_stopped_stays_stopped(
    engine: ProcessEngine, tmp_path: Path
) -> None:
    output = bytearray()
    script = (
        "(while :; do echo -n x; sleep 0.01; done) & kill -STOP $!; "
        "sleep 0.1; echo on; while :; do sleep 0.01; done"
    )
    instance = await engine.start(spec_of(tmp_path, script, output))
    await eventually(lambda: b"on" in output)
    await instance.freeze()
    instance.thaw()
    assert not await prints(output)
    await instance.kill()


async def test_memory_of_a_frozen_instance_counts(engine: ProcessEngine, tmp_path: Path) -> None:
    hog = "import time; x = bytearray(60 << 20); print(1, flush=True); time.sleep(60)"
    output = bytearray()
    spec = spec_of(tmp_path, f"exec {sys.executable} -S -c '{hog}'", output)
    instance = await engine.start(spec)
    await eventually(lambda: b"1" in output)
    await instance.freeze()
    instance.spec = replace(spec, share=Share((0,), 30 << 20))  # not before: it would never print
    end = await instance.wait()
    assert (end.oom, end.signal) == (True, signal.SIGKILL)


async def test_the_peak_of_memory_is_known(engine: ProcessEngine, tmp_path: Path) -> None:
    """Also when it is over in a moment, and after the end."""
    run_it = f"exec {sys.executable} -S -c 'x = bytearray(60 << 20)'"
    instance = await engine.start(spec_of(tmp_path / "short", run_it))
    await instance.wait()
    assert 60 << 20 < instance.usage().max_rss_bytes < 100 << 20
    output = bytearray()
    script = "x = bytearray(60 << 20); del x; print(1, flush=True); time.sleep(60)"
    run_it = f"exec {sys.executable} -S -c 'import time; {script}'"
    instance = await engine.start(spec_of(tmp_path / "long", run_it, output))
    await eventually(lambda: b"1" in output)
    usage = instance.usage()
    assert usage.rss_bytes < 40 << 20
    assert 60 << 20 < usage.max_rss_bytes < 100 << 20
    await instance.kill()


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


async def test_a_supervisor_that_somebody_stopped_still_kills(
    engine: ProcessEngine, tmp_path: Path
) -> None:
    output = bytearray()
    instance = await engine.start(spec_of(tmp_path, "echo on; sleep 1000", output))
    await eventually(lambda: b"on" in output)
    below = psutil.Process(instance.pid).children(recursive=True)
    os.kill(instance.pid, signal.SIGSTOP)
    assert (await instance.kill()).signal == signal.SIGKILL
    assert not alive(below)


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
    engine = ProcessEngine(SystemClock(), {}, None)
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
