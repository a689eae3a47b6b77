"""Instances as groups of processes on this host.

Each is started and watched by a process of its own, `enter.py`, at the other end of a socket: when
the socket closes - also because the cloud was killed - all that the instance started ends. Where
the kernel allows user namespaces, an instance also sees the file system as its spec says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fogbank.cloud.machines import procfs
from fogbank.cloud.machines.engine import EngineError, Exit, InstanceSpec, Share, Usage, View
from fogbank.cloud.machines.enter import descendants
from fogbank.core.clock import Clock

MEMORY_POLL_S = 0.2
"""How often memory is compared with the share. A limit on address space (RLIMIT_AS) is no
substitute: torch reserves many times what it uses."""

LAST_WORDS_BYTES = 4096
_PIECE_BYTES = 16 * 1024
_BUSY_S, _REST = 0.002, 4
"""Output that takes longer than `_BUSY_S` a piece gets a fifth of the event loop at most."""
_SWEEP_LIMIT_S = 10.0
_MARK = "FOGBANK_INSTANCE"
_RECORD = "process.json"
_ENTER = str(Path(__file__).with_name("enter.py"))
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_INHERITED = frozenset(
    (
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "CUDA_VISIBLE_DEVICES",
        "NVIDIA_VISIBLE_DEVICES",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "PIP_NO_INDEX",
        "PIP_CERT",
        "PIP_CONFIG_FILE",
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
    )
)


def inherited_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the cloud's own environment that instances get: where programs, the home
    folder, certificates, proxies and package indexes are. Never credentials of AWS."""
    chosen = {name: value for name, value in environment.items() if name in _INHERITED}
    # The cloud is on the loopback interface: no proxy leads there.
    for name in ("NO_PROXY", "no_proxy"):
        chosen[name] = ",".join(filter(None, [chosen.get(name), "127.0.0.1,localhost"]))
    return chosen


class ProcessInstance:
    """See `engine.Instance`. Made by `ProcessEngine.start`."""

    def __init__(
        self,
        spec: InstanceSpec,
        clock: Clock,
        process: asyncio.subprocess.Process,
        events: asyncio.StreamReader,
        commands: asyncio.StreamWriter,
        *,
        enclosed: bool,
    ) -> None:
        self.spec = spec
        self._enclosed = enclosed
        self._clock = clock
        self._process = process
        self._events = events
        self._commands = commands
        self._oom = False
        self._tail = bytearray()
        self._output = asyncio.create_task(self._read_output(), name=f"output of {spec.name}")
        self._end = asyncio.create_task(self._live(), name=f"life of {spec.name}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._end.done()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._end)

    async def terminate(self, grace_s: float) -> Exit:
        self._command(b"T")
        kill = asyncio.ensure_future(self._kill_after(grace_s))
        try:
            return await self.wait()
        finally:
            kill.cancel()

    async def _kill_after(self, grace_s: float) -> None:
        await self._clock.sleep(grace_s)
        await self.kill()

    async def kill(self) -> Exit:
        self._command(b"K")
        return await self.wait()

    def usage(self) -> Usage:
        pids = self._processes()
        return Usage(
            cpu_s=sum(map(procfs.cpu_s, pids)),
            rss_bytes=sum(map(procfs.rss_bytes, pids)),
            num_processes=len(pids),
        )

    def enforce_memory(self) -> None:
        """Kill everything where it uses more memory than its share."""
        limit = self.spec.share.memory_bytes
        pids = self._processes()
        if sum(map(procfs.rss_bytes, pids)) <= limit:
            return
        # Forked workers share pages with their parent: count again, exactly.
        if sum(map(procfs.pss_bytes, pids)) > limit:
            self._oom = True
            self._command(b"K")

    def _processes(self) -> list[int]:
        if self.has_ended:
            return []
        below = descendants(self.pid)
        return below[1:] if self._enclosed else below  # the first is init, which is ours

    def _command(self, command: bytes) -> None:
        if not self.has_ended and not self._commands.is_closing():
            self._commands.write(command)

    async def _read_output(self) -> None:
        assert self._process.stdout is not None
        while piece := await self._process.stdout.read(_PIECE_BYTES):
            began_s = self._clock.monotonic_s()
            self._tail += piece
            del self._tail[:-LAST_WORDS_BYTES]
            self.spec.output(piece)
            busy_s = self._clock.monotonic_s() - began_s
            if busy_s > _BUSY_S:
                # It prints faster than lines can be kept (`yes`): it waits, the cloud does not.
                await self._clock.sleep(_REST * busy_s)

    async def _live(self) -> Exit:
        status: int | None = None
        with contextlib.suppress(ConnectionError):
            while line := await self._events.readline():
                event = json.loads(line)
                if event["event"] == "exit" and status is None:
                    status = event["status"]
        if status is None:
            # Somebody killed enter.py itself. What it watched may have lost its parent.
            end_marked(self.spec.folder)
        await self._process.wait()
        await self._output
        self._commands.close()
        with contextlib.suppress(ConnectionError):
            await self._commands.wait_closed()
        (self.spec.folder / _RECORD).unlink(missing_ok=True)
        code = os.waitstatus_to_exitcode(signal.SIGKILL if status is None else status)
        return Exit(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            oom=self._oom and code == -signal.SIGKILL,
            last_words=last_words(bytes(self._tail)),
        )


def last_words(tail: bytes) -> str:
    """The end of an output as text, without the beginning of it that was cut."""
    if len(tail) >= LAST_WORDS_BYTES:
        _, _, rest = tail.partition(b"\n")
        tail = rest or tail
    return tail.decode(errors="replace").strip()


def end_marked(folder: Path) -> list[int]:
    """Kill every process that was started with the mark of an instance at or below `folder`."""
    ended: list[int] = []
    for pid, value in procfs.with_environment(_MARK):
        if Path(value).is_relative_to(folder) and procfs.start_ticks(pid) is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended.append(pid)
    return ended


class ProcessEngine:
    """See `engine.Engine`. Use on one event loop.

    can_mount:   what `mounts_work` found out about this host.
    environment: the cloud's own, of which `inherited_environment` reaches the programs.
    """

    def __init__(self, clock: Clock, environment: Mapping[str, str], *, can_mount: bool) -> None:
        self.can_mount = can_mount
        self._clock = clock
        self._inherited = inherited_environment(environment)
        self._instances: set[ProcessInstance] = set()
        self._memory_watch: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return "process"

    async def start(self, spec: InstanceSpec) -> ProcessInstance:
        if (spec.views or spec.hidden) and not self.can_mount:
            raise EngineError(f"{spec.name}: this host does not allow views and hidden folders")
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-I", "-S", _ENTER, str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    limit=_PIECE_BYTES,
                    env={_MARK: str(spec.folder.resolve())},
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise EngineError(f"{spec.name}: cannot start a process: {error}") from error
        events, commands = await asyncio.open_connection(sock=ours)
        try:
            self._keep_record(spec, process.pid)
            commands.write(json.dumps(self._order(spec)).encode() + b"\n")
            await commands.drain()
            line = await events.readline()
            first = json.loads(line) if line else {"message": "it was killed while starting"}
            if first.get("event") != "started":
                raise EngineError(f"{spec.name}: cannot start {spec.argv[0]}: {first['message']}")
        except BaseException:
            commands.close()  # enter.py sees the end of the socket and kills what there is
            await process.communicate()
            (spec.folder / _RECORD).unlink(missing_ok=True)
            raise
        instance = ProcessInstance(
            spec, self._clock, process, events, commands, enclosed=self.can_mount
        )
        self._instances.add(instance)
        if self._memory_watch is None or self._memory_watch.done():
            self._memory_watch = asyncio.create_task(self._watch_memory(), name="memory watch")
        return instance

    async def sweep(self, root: Path) -> list[str]:
        root = root.resolve()
        names: list[str] = []
        pending: dict[int, int] = {}
        for depth in range(1, 5):
            for file in root.glob("/".join(["*"] * depth + [_RECORD])):
                record = _read_record(file)
                if record and procfs.start_ticks(record["pid"]) == record["start_ticks"]:
                    names.append(record["name"])
                    pending[record["pid"]] = record["start_ticks"]
                    for pid in (*descendants(record["pid"]), record["pid"]):
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                file.unlink(missing_ok=True)
        deadline = self._clock.monotonic_s() + _SWEEP_LIMIT_S
        while end_marked(root) or any(procfs.start_ticks(p) == t for p, t in pending.items()):
            if self._clock.monotonic_s() > deadline:
                raise EngineError(f"processes of an earlier run below {root} do not end: {pending}")
            await self._clock.sleep(0.02)
        return names

    async def stop(self) -> None:
        await asyncio.gather(*(instance.kill() for instance in tuple(self._instances)))
        if self._memory_watch is not None:
            self._memory_watch.cancel()
            await asyncio.wait({self._memory_watch})
            self._memory_watch = None

    async def _watch_memory(self) -> None:
        while True:
            self._instances = {one for one in self._instances if not one.has_ended}
            if not self._instances:
                return
            for instance in self._instances:
                instance.enforce_memory()
            await self._clock.sleep(MEMORY_POLL_S)

    def _order(self, spec: InstanceSpec) -> dict[str, Any]:
        environment = {
            **self._inherited,
            **dict.fromkeys(_THREADS, str(len(spec.share.cpus))),
            # Threads that wait sleep instead of spinning: instances share CPUs. The same training
            # took 10 s with it and 70 s and more without, beside other work on two cores.
            "OMP_WAIT_POLICY": "PASSIVE",
            **spec.env,
            "SAGEMAKER_BASE_DIR": str(spec.base),
            "FOGBANK_INSTANCE_ADDRESS": spec.address,
            _MARK: str(spec.folder.resolve()),
        }
        enclose = None
        if self.can_mount:
            enclose = {
                "views": [
                    [str(p.resolve()) for p in (v.source, v.target, v.scratch)] for v in spec.views
                ],
                "hidden": [str(path.resolve()) for path in spec.hidden],
                "kept": [str(path.resolve()) for path in {*spec.kept, spec.base}],
                "opt_ml": str(spec.base.resolve()) if Path("/opt").is_dir() else None,
            }
        return {
            "argv": spec.argv,
            "env": environment,
            "cwd": str(spec.cwd),
            "cpus": spec.share.cpus,
            "nice": spec.nice,
            "enclose": enclose,
        }

    def _keep_record(self, spec: InstanceSpec, pid: int) -> None:
        record = {
            "name": spec.name,
            "pid": pid,
            "start_ticks": procfs.start_ticks(pid),
            "boot_id": procfs.boot_id(),
        }
        (spec.folder / _RECORD).write_text(json.dumps(record))


def _read_record(file: Path) -> dict[str, Any] | None:
    """None for one that was cut short by a crash, and for one of before the host's last start."""
    try:
        record = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    same_boot = isinstance(record, dict) and record.get("boot_id") == procfs.boot_id()
    return record if same_boot else None


async def mounts_work(clock: Clock, folder: Path) -> tuple[bool, str]:
    """Whether instances on this host can have views and hidden folders, found out by starting one
    with both in a temporary folder below `folder`; and why not."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="probe-") as name:
        home = Path(name).resolve()
        base, source, scratch = home / "i" / "base", home / "i" / "tree", home / "i" / "scratch"
        for path in (base / "data", source, scratch, home / "secret"):
            path.mkdir(parents=True)
        (source / "object").write_text("object")
        spec = InstanceSpec(
            name="probe",
            folder=home / "i",
            base=base,
            argv=(
                "/bin/sh",
                "-c",
                f"cat data/object && echo x > data/object && test ! -e {home}/secret",
            ),
            env={},
            cwd=base,
            share=Share((min(os.sched_getaffinity(0)),), 1 << 30),
            address="127.0.0.1",
            output=lambda _: None,
            views=(View(source, base / "data", scratch),),
            hidden=(home,),
        )
        engine = ProcessEngine(clock, os.environ, can_mount=True)
        try:
            end = await (await engine.start(spec)).wait()
        except EngineError as error:
            return False, str(error)
        finally:
            await engine.stop()
        if end.ok and (source / "object").read_text() == "object":
            return True, "user namespaces and overlayfs work"
        return False, f"a probe ended with {end}"
