"""What a training job leaves -> S3: model.tar.gz, output.tar.gz, or plain files.

Of several instances, the contents are merged. Source: developer guide, "How Amazon SageMaker
Processes Training Output".
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from fogbank.cloud.machines import archive, nofollow, placement
from fogbank.cloud.machines.channels import S3Location
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.ports import Objects

Tree = tuple[Path, Sequence[str]]
"""A folder of an instance: (a folder that only the cloud can change, the names below it)."""


class TrainingOutput:
    """trees: what each instance knows as /opt/ml. staging: a folder that no instance sees.
    say: takes warnings for the job's log."""

    def __init__(
        self, trees: Sequence[Tree], staging: Path, objects: Objects, say: Callable[[str], None]
    ) -> None:
        self._trees = trees
        self._staging = staging
        self._objects = objects
        self._say = say

    def has(self, *below: str) -> bool:
        """Whether any instance has a file in that folder of /opt/ml."""
        return bool(self._sources(below))

    def _sources(self, below: Sequence[str]) -> list[Tree]:
        trees = [(trusted, (*base, *below)) for trusted, base in self._trees]
        return [tree for tree in trees if not nofollow.is_empty(tree[0], *tree[1])]

    async def upload_archive(self, below: Sequence[str], place: S3Location) -> None:
        """Pack the folder into one archive and put it there, whole or not at all. Raises OSError
        (a full disk) and LookupError (no such bucket)."""
        packed = self._staging / place.key.rpartition("/")[2]
        warnings: list[str] = []
        try:
            await in_thread(archive.pack, self._sources(below), packed, warnings.append)
            await self._objects.put_file(place.bucket, place.key, packed)
        finally:
            packed.unlink(missing_ok=True)
            for warning in warnings:
                self._say(f"{'/'.join(below)}: {warning}")

    async def upload_files(self, below: Sequence[str], place: S3Location) -> None:
        """Put every file of the folder there as an object of its own. Raises as the other does."""
        staged = self._staging / "file"
        for tree in self._sources(below):
            for path in await in_thread(_files, tree):
                try:
                    await in_thread(stage, tree, path, staged)
                    target = place.child(path)
                    await self._objects.put_file(target.bucket, target.key, staged)
                finally:
                    staged.unlink(missing_ok=True)


def _files(tree: Tree) -> list[str]:
    with nofollow.open_folder(tree[0], *tree[1]) as folder:
        return [e.path for e in nofollow.walk(folder) if stat.S_ISREG(e.status.st_mode)]


def stage(tree: Tree, path: str, staged: Path) -> None:
    """Copy a file that an instance left to where the instance cannot touch it. OSError where it is
    no regular file any more."""
    trusted, below = tree
    *folders, name = path.split("/")
    with (
        nofollow.open_folder(trusted, *below, *folders) as folder,
        nofollow.open_file(name, folder) as file,
    ):
        placement.copy_handle(file, staged)
