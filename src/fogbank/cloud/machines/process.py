"""Instances as groups of processes on this host.

Each is started and watched by a process of its own, `enter.py`, at the other end of a socket: when
the socket closes - also because the cloud was killed - all that the instance started ends. With
namespaces, an instance also sees the file system as its spec says, and jobs have networks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fogbank.cloud.machines import procfs
from fogbank.cloud.machines.companion import start_companion
from fogbank.cloud.machines.engine import (
    Attachment,
    Bind,
    EngineError,
    InstanceSpec,
    NetworkSpec,
)
from fogbank.cloud.machines.enter import descendants
from fogbank.cloud.machines.network import JobNetwork, Links, open_network
from fogbank.cloud.machines.process_instance import (
    MARK,
    RECORD,
    ProcessInstance,
    end_marked,
)
from fogbank.core.clock import Clock

MEMORY_POLL_S = 0.2
"""How often memory is compared with the share. A limit on address space (RLIMIT_AS) is no
substitute: torch reserves many times what it uses."""

_SWEEP_LIMIT_S = 10.0
_HOSTS = Path("/etc/hosts")
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


@dataclass(frozen=True, slots=True)
class Namespaces:
    """What the kernel offers beside plain processes: user, mount and process namespaces.

    links: how it connects the instances of a job in a network of theirs; None: not at all.
    """

    links: Links | None


class ProcessEngine:
    """See `engine.Engine`. Use on one event loop.

    environment: the cloud's own, of which `inherited_environment` reaches the programs.
    namespaces:  with them it is the engine `namespace`, else `process`. `choice.choose_engine`
                 finds out what this host has.
    """

    def __init__(
        self, clock: Clock, environment: Mapping[str, str], namespaces: Namespaces | None
    ) -> None:
        self._clock = clock
        self._environment = environment
        self._inherited = inherited_environment(environment)
        self._namespaces = namespaces
        self._instances: set[ProcessInstance] = set()
        self._networks: set[JobNetwork] = set()
        self._memory_watch: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return "process" if self._namespaces is None else "namespace"

    @property
    def can_mount(self) -> bool:
        return self._namespaces is not None

    @property
    def links(self) -> Links | None:
        """How the instances of a job are connected; None: on the host's network."""
        return None if self._namespaces is None else self._namespaces.links

    @property
    def can_network(self) -> bool:
        return self.links is not None

    async def open_network(self, spec: NetworkSpec) -> JobNetwork:
        if self.links is None:
            raise EngineError(f"{spec.name}: the engine {self.name} has no networks here")
        network = await open_network(spec, self.links, self._environment)
        self._networks = {one for one in self._networks if not one.is_closed} | {network}
        return network

    async def start(self, spec: InstanceSpec) -> ProcessInstance:
        if (spec.views or spec.hidden or spec.binds or spec.attachment) and not self.can_mount:
            raise EngineError(
                f"{spec.name}: the engine {self.name} has no views, hidden folders, binds and "
                "networks"
            )
        order = self._order(spec)
        companion = await start_companion(spec.name, spec.folder, _ENTER, piped=True)
        try:
            self._keep_record(spec, companion.process.pid)
            first = await companion.order(order)
            if first.get("event") != "started":
                raise EngineError(f"{spec.name}: cannot start {spec.argv[0]}: {first['message']}")
        except BaseException:
            await companion.give_up()  # enter.py kills what there is
            (spec.folder / RECORD).unlink(missing_ok=True)
            raise
        instance = ProcessInstance(
            spec,
            self._clock,
            companion.process,
            companion.events,
            companion.commands,
            enclosed=self.can_mount,
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
            for file in root.glob("/".join(["*"] * depth + [RECORD])):
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
        await asyncio.gather(*(network.close() for network in self._networks))
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
            **self._inherited_by(spec),
            **dict.fromkeys(_THREADS, str(len(spec.share.cpus))),
            # Threads that wait sleep instead of spinning: instances share CPUs. The same training
            # took 10 s with it and 70 s and more without, beside other work on two cores.
            "OMP_WAIT_POLICY": "PASSIVE",
            **spec.env,
            "FOGBANK_INSTANCE_ADDRESS": spec.address,
            **({} if spec.tmp is None or self.can_mount else {"TMPDIR": str(spec.tmp)}),
            MARK: str(spec.folder.resolve()),
        }
        return {
            "argv": spec.argv,
            "env": environment,
            "cwd": str(spec.cwd),
            "cpus": spec.share.cpus,
            "nice": spec.nice,
            "enclose": self._enclosure(spec) if self.can_mount else None,
        }

    def _inherited_by(self, spec: InstanceSpec) -> Mapping[str, str]:
        if spec.attachment is None:
            return self._inherited
        # The host's proxies cannot be reached from there, and may be named with a password.
        kept = {k: v for k, v in self._inherited.items() if not k.lower().endswith("_proxy")}
        return {**kept, **spec.attachment.network.variables}

    def _enclosure(self, spec: InstanceSpec) -> dict[str, Any]:
        binds = [*spec.binds]
        network = None
        if spec.attachment is not None:
            network, hosts = self._attach(spec.attachment)
            binds.append(Bind(hosts, _HOSTS, read_only=True))
        return {
            "network": network,
            "views": [
                [str(p.resolve()) for p in (v.source, v.target, v.scratch)] for v in spec.views
            ],
            "hidden": [str(path.resolve()) for path in spec.hidden],
            "kept": [str(path.resolve()) for path in {*spec.kept, spec.base}],
            "tmp": None if spec.tmp is None else str(spec.tmp.resolve()),
            "binds": [[str(b.source.resolve()), str(b.target), b.read_only] for b in binds],
        }

    def _attach(self, attachment: Attachment) -> tuple[dict[str, str], Path]:
        network = attachment.network
        if not isinstance(network, JobNetwork) or network.is_closed:
            raise EngineError(f"{network} is not an open network of this engine")
        return network.entrance(attachment.number), network.hosts_file

    def _keep_record(self, spec: InstanceSpec, pid: int) -> None:
        record = {
            "name": spec.name,
            "pid": pid,
            "start_ticks": procfs.start_ticks(pid),
            "boot_id": procfs.boot_id(),
        }
        (spec.folder / RECORD).write_text(json.dumps(record))


def _read_record(file: Path) -> dict[str, Any] | None:
    """None for one that was cut short by a crash, and for one of before the host's last start."""
    try:
        record = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    same_boot = isinstance(record, dict) and record.get("boot_id") == procfs.boot_id()
    return record if same_boot else None
