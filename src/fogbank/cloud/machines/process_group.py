"""Whether the instances of a job work together: seen while they run, and from what they leave.

In: running instances, and the folders of their models and checkpoints. Out: an Evidence for
`rules.distribution`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Sequence

from fogbank.cloud.machines import nofollow
from fogbank.cloud.machines.engine import Instance
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.machines.training_output import Tree
from fogbank.cloud.rules.distribution import Evidence
from fogbank.core.clock import Clock

LOOK_S = 0.2
"""Between the first looks at the connections; each costs some milliseconds, until there is one."""

LONGEST_LOOK_S = 2.0
_SLOWER = 1.02
"""The pauses grow, to this after two minutes: a group lives for as long as the training, and one
that has not begun by then is not over in a moment."""

_PIECE_BYTES = 1 << 20


class GroupWatch:
    """linked: see `connections.linked`. ignored_port: that of the job's rendezvous."""

    def __init__(
        self, clock: Clock, linked: Callable[[Sequence[int], int], bool], ignored_port: int
    ) -> None:
        self._clock = clock
        self._linked = linked
        self._ignored_port = ignored_port
        self._connected = False
        self._num_looks = 0

    async def run(self, instances: Sequence[Instance]) -> None:
        """Look until a connection is seen. Cancel it when an instance has ended."""
        pids = [instance.pid for instance in instances]
        pause_s = LOOK_S
        while not self._connected:
            await self._clock.sleep(pause_s)
            pause_s = min(LONGEST_LOOK_S, pause_s * _SLOWER)
            self._connected = await in_thread(self._linked, pids, self._ignored_port)
            self._num_looks += 1

    async def evidence(self, models: Sequence[Tree], checkpoints: Sequence[Tree]) -> Evidence:
        """What was seen. models, checkpoints: the folders of each instance."""
        nothing: tuple[str | None, ...] = (None,) * len(models)
        found = kept = nothing
        if self._num_looks and not self._connected:  # else nobody asks what they left
            found = await in_thread(identities, models)
            if found == nothing:
                kept = await in_thread(identities, checkpoints)
        return Evidence(
            connected=self._connected, num_looks=self._num_looks, models=found, checkpoints=kept
        )


def identities(models: Sequence[Tree]) -> tuple[str | None, ...]:
    """What tells models (or checkpoints) apart: the content of the largest file, which holds the
    weights (smaller ones may have a date or a host's name in them). None where there is no file.
    Raises OSError."""
    largest = [_largest(tree) for tree in models]
    sizes = Counter(found[1] for found in largest if found)
    return tuple(
        None
        if found is None
        else f"{found[1]} bytes"
        if sizes[found[1]] == 1
        else f"{found[1]} bytes {_digest(tree, found[0])}"
        for tree, found in zip(models, largest, strict=True)
    )


def _largest(tree: Tree) -> tuple[str, int] | None:
    """(path, bytes) of the largest regular file."""
    try:
        with nofollow.open_folder(tree[0], *tree[1]) as folder:
            files = [
                (entry.status.st_size, entry.path)
                for entry in nofollow.walk(folder)
                if stat.S_ISREG(entry.status.st_mode)
            ]
    except OSError:  # the program removed the folder, or made a link of it
        return None
    if not files:
        return None
    size_bytes, path = max(files)
    return path, size_bytes


def _digest(tree: Tree, path: str) -> str:
    *folders, name = path.split("/")
    digest = hashlib.sha256()
    with (
        nofollow.open_folder(tree[0], *tree[1], *folders) as folder,
        nofollow.open_file(name, folder) as handle,
    ):
        while piece := os.read(handle, _PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
