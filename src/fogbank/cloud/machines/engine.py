"""The Protocol between what must run and how it runs.

In: an `InstanceSpec`, a complete description of one instance. Out: an `Instance` that can be
awaited, ended and measured. An instance stands for one EC2 machine with one container on it: a
group of processes with a share of the host, a folder that it knows as /opt/ml, an address and an
output. Training jobs and endpoint replicas are made of instances; neither knows the engine.

Engines: `process.ProcessEngine` (real; `process` or, with namespaces, `namespace`) and
`fake.FakeEngine` (scripted, for tests). `fogbank.testing.engines` holds what all promise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fogbank.core.errors import WorldError


class EngineError(WorldError):
    """An instance could not be started: the program is missing, the host refuses a process."""


@dataclass(frozen=True, slots=True)
class Share:
    """What an instance may use of the host.

    cpus:         numbers of the host's logical CPUs that it runs on; never empty.
    memory_bytes: resident memory of all its processes together; more than that ends it (`oom`).
    """

    cpus: tuple[int, ...]
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class View:
    """A folder that the program sees at `target` with `source`'s files. It may write there (caches
    next to the data), but what it writes lands in `scratch`: `source` never changes.

    source:  a tree of hard links to the object store's files, made for this instance.
    target:  an empty folder below the instance's `base`.
    scratch: an empty folder of the instance, on a file system that overlayfs can write to.
    """

    source: Path
    target: Path
    scratch: Path


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of the host that the program also sees elsewhere, as in a container.

    source:    exists.
    target:    absolute and without links. Where the host has nothing there, it appears for this
               instance only; the folder that it is in, or one above that is not /, must exist.
    read_only: whether the program can change what is below `target`.
    """

    source: Path
    target: Path
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network that only the instances of one job are in.

    name:       for people and logs: `training/dogs`.
    folder:     a folder of the job. It exists; the engine keeps `hosts` in it, and ends what an
                earlier run left by it.
    host_names: the names of the instances, by which they find each other (/etc/hosts).
    cloud_url:  where the programs find the cloud, on the host and, by the same words, in the
                network; None: nowhere.
    outside:    whether there is a way out to the world, for programs that use HTTP proxies.
    """

    name: str
    folder: Path
    host_names: tuple[str, ...]
    cloud_url: str | None
    outside: bool


class Network(Protocol):
    """A network that is there. Close it when its instances have ended."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The instances' addresses, in the order of `NetworkSpec.host_names`."""
        ...

    @property
    def interface(self) -> str:
        """The interface that has them: eth0, or lo where the instances share one."""
        ...

    @property
    def variables(self) -> Mapping[str, str]:
        """What tells programs of the way out (HTTPS_PROXY and its kin); none without one. They go
        over what instances inherit and below what the user says."""
        ...

    async def close(self) -> None:
        """Nothing of it is left when this returns. Instances that are still in it can no longer
        reach anything but each other. May be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Attachment:
    """An instance's place in a network: number `number`, from 0, of its host names."""

    network: Network
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """Everything that an engine needs to start one instance.

    name:    for people and logs: `training/dogs/algo-1`, `endpoint/dogs/AllTraffic/i-0a1b`.
    folder:  the instance's own folder. It exists; the engine keeps its process record in it
             (`process.json`), by which a later run finds and ends what an earlier one left.
    base:    a folder below `folder`, where the program may write. It exists.
    argv:    program and arguments. No shell; the program is looked up on the PATH of `env`.
    env:     the whole environment; nothing is inherited but what `process.inherited_environment`
             lists (PATH, HOME, locale). The engine adds thread counts (OMP_NUM_THREADS and its
             kin) that fit the share, where `env` does not set them.
    cwd:     working directory; exists.
    share:   see `shares.Shares.lease`.
    address: the address that is this instance's own: every port of it is free. One of the
             network that it is attached to, else a loopback address (127.x.y.z). The engine passes
             it as FOGBANK_INSTANCE_ADDRESS.
    output:  called on the event loop with each piece of stdout and stderr, in order, as read (not
             lines; at most 64 KiB). It must not raise. While it takes long, the program waits.
    nice:    added to the niceness, so that the server stays responsive while workloads compute.
    views:   folders that show files of others unchangeably; only where `Engine.can_mount`.
    hidden:  folders (the cloud's home: objects, records, keys, other instances) that the program
             must not see; it finds them empty. As `views`, only where `Engine.can_mount`.
    kept:    folders below `hidden` that it sees all the same (`base` is always kept), and below
             /tmp where it has a `tmp` of its own.
    binds:   files and folders at places where programs look for them (/opt/ml, /var/task), later
             ones over earlier ones. As `views`, only where `Engine.can_mount`.
    tmp:     a folder of the instance (it exists) that it sees as /tmp, and that nobody else sees
             there. Where the engine cannot mount, the program is told of it by TMPDIR.
    attachment: the network that it is in, made by the same engine, and as what; its name is then
             the host's name for it. None: the host's network.
    """

    name: str
    folder: Path
    base: Path
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    share: Share
    address: str
    output: Callable[[bytes], None]
    nice: int = 10
    views: tuple[View, ...] = ()
    hidden: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()
    binds: tuple[Bind, ...] = ()
    tmp: Path | None = None
    attachment: Attachment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How an instance ended. Exactly one of `code` and `signal` is set.

    code:       exit status of the program.
    signal:     the signal that ended it (9 where the engine killed it).
    oom:        the engine killed it because its processes used more memory than their share.
    last_words: the end of its output (at most 4 KiB, decoded, without a cut first line).
    """

    code: int | None = None
    signal: int | None = None
    oom: bool = False
    last_words: str = ""

    @property
    def ok(self) -> bool:
        """The program ended by itself with status 0."""
        return self.code == 0


@dataclass(frozen=True, slots=True)
class Usage:
    """cpu_s: processor seconds used since the start by processes that still live.
    rss_bytes: resident memory of all processes now; pages that they share count once each time.
    num_processes: how many there are.
    max_rss_bytes: the most that `rss_bytes` has been: the sum of each living process's own peak
        (which may be more than they ever had at one moment), or what was seen earlier. Stays when
        the instance has ended; nothing is missed of a program that is one process."""

    cpu_s: float
    rss_bytes: int
    num_processes: int
    max_rss_bytes: int


class Instance(Protocol):
    """A started instance. When its program has ended, every process of it has ended: also those
    that forked away, changed their session or their parent."""

    @property
    def spec(self) -> InstanceSpec: ...

    @property
    def pid(self) -> int:
        """The process that stands for the instance on the host; alive as long as it is."""
        ...

    async def wait(self) -> Exit:
        """How it ended. All its output has been given to `spec.output` before this returns. May be
        awaited by several tasks and any number of times; cancelling one ends only that wait."""
        ...

    async def terminate(self, grace_s: float) -> Exit:
        """SIGTERM to the program's process group, SIGKILL to everything after `grace_s` seconds of
        the engine's clock. Returns as `wait` does; does nothing to what has already ended."""
        ...

    async def kill(self) -> Exit:
        """SIGKILL to every process of the instance, now. Returns as `wait` does."""
        ...

    async def freeze(self) -> None:
        """Stop every process of the instance, wherever it went, until `thaw`: they keep their
        memory and connections and run no instruction. Returns when all have stopped, or when the
        instance has ended meanwhile. Twice is as good as once. `terminate` and `kill` end a frozen
        instance as any other, and its memory is still compared with its share.

        A program can notice: its clock jumps, and a process whose child was stopped gets SIGCHLD.
        Raises EngineError, with everything thawed, where one does not stop within seconds."""
        ...

    def thaw(self) -> None:
        """Let every process go on. Does nothing where nothing is frozen or all has ended."""
        ...

    def usage(self) -> Usage:
        """What it uses now; zeros once it has ended, except for the peak."""
        ...


class Engine(Protocol):
    """Starts instances."""

    @property
    def name(self) -> str:
        """`process`, `namespace` or `fake`: what `fogbank cloud status` shows."""
        ...

    @property
    def can_mount(self) -> bool:
        """Whether `InstanceSpec.views`, `hidden` and `binds` are honoured; with False they must be
        empty."""
        ...

    @property
    def can_network(self) -> bool:
        """Whether jobs can have networks of their own."""
        ...

    async def open_network(self, spec: NetworkSpec) -> Network:
        """Make a network. Raises EngineError where it cannot be made."""
        ...

    async def start(self, spec: InstanceSpec) -> Instance:
        """Start it; returns when the program runs. Raises EngineError when it cannot be started
        (message fit for a FailureReason); then nothing of it runs."""
        ...

    async def sweep(self, root: Path) -> list[str]:
        """End what an earlier run of the cloud left running: every instance with a process record
        below `root`. Returns their names. Call it before starting anything below `root`."""
        ...

    async def stop(self) -> None:
        """Kill every instance that still runs, wait for their ends, close every network."""
        ...
