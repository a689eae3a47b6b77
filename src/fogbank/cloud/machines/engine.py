"""The Protocol between what must run and how it runs.

In: an `InstanceSpec`, a complete description of one instance. Out: an `Instance` that can be
awaited, ended and measured. An instance stands for one EC2 machine with one container on it: a
group of processes with a share of the host, a folder that it knows as /opt/ml, an address and an
output. Training jobs and endpoint replicas are made of instances; neither knows the engine.

Engines: `process.ProcessEngine` (real) and `fake.FakeEngine` (scripted, for tests).
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


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """Everything that an engine needs to start one instance.

    name:    for people and logs: `training/dogs/algo-1`, `endpoint/dogs/AllTraffic/i-0a1b`.
    folder:  the instance's own folder. It exists; the engine keeps its process record in it
             (`process.json`), by which a later run finds and ends what an earlier one left.
    base:    a folder below `folder`, where the program may write: what a container knows as
             /opt/ml. It exists; the engine passes it as SAGEMAKER_BASE_DIR.
    argv:    program and arguments. No shell; the program is looked up on the PATH of `env`.
    env:     the whole environment; nothing is inherited but what `process.inherited_environment`
             lists (PATH, HOME, locale). The engine adds SAGEMAKER_BASE_DIR and thread counts
             (OMP_NUM_THREADS and its kin) that fit the share, where `env` does not set them.
    cwd:     working directory; exists.
    share:   see `shares.Shares.lease`.
    address: the loopback address that is this instance's own (127.x.y.z): every port of it is
             free. The engine passes it as FOGBANK_INSTANCE_ADDRESS.
    output:  called on the event loop with each piece of stdout and stderr, in order, as read (not
             lines; at most 64 KiB). It must not raise. While it takes long, the program waits.
    nice:    added to the niceness, so that the server stays responsive while workloads compute.
    views:   folders that show files of others unchangeably; only where `Engine.can_mount`.
    hidden:  folders (the cloud's home: objects, records, keys, other instances) that the program
             must not see; it finds them empty. As `views`, only where `Engine.can_mount`.
    kept:    folders below `hidden` that it sees all the same (`base` is always kept).
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
    num_processes: how many there are."""

    cpu_s: float
    rss_bytes: int
    num_processes: int


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

    def usage(self) -> Usage:
        """What it uses now; zeros once it has ended."""
        ...


class Engine(Protocol):
    """Starts instances."""

    @property
    def name(self) -> str:
        """`process` or `fake`: what `fogbank cloud status` shows."""
        ...

    @property
    def can_mount(self) -> bool:
        """Whether `InstanceSpec.views` and `hidden` are honoured; with False they must be empty."""
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
        """Kill every instance that still runs and wait for their ends."""
        ...
