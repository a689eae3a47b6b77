"""/opt/ml/checkpoints of the instances <-> CheckpointConfig.S3Uri.

Restored before the program starts, uploaded while it runs and once more at the end. Files that a
program deletes stay in S3. Source: developer guide, "Checkpoints in Amazon SageMaker".
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fogbank.cloud.machines import channels, nofollow, placement
from fogbank.cloud.machines.channels import ChannelError, S3Location
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.machines.training_output import Tree, stage
from fogbank.cloud.ports import Objects
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.training")

SYNC_S = 5.0
"""Between two looks at the folder. What changed between two looks waits for the next one: it may
still be being written."""

_DEFAULT_PATH = "/opt/ml/checkpoints"


@dataclass(frozen=True, slots=True)
class _Version:
    size_bytes: int
    mtime_ns: int


class Checkpoints:
    """Checkpoints of one attempt.

    config:  CheckpointConfig of the request.
    trees:   what the instances know as /opt/ml.
    staging: an empty folder that no instance sees; files are copied there before they are uploaded.
    Raises ChannelError for a config that cannot be obeyed.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        trees: Sequence[Tree],
        staging: Path,
        objects: Objects,
        clock: Clock,
    ) -> None:
        self._location = S3Location.parse(config["S3Uri"])
        local = config.get("LocalPath", _DEFAULT_PATH).rstrip("/")
        parts = local.split("/")
        if parts[:3] != ["", "opt", "ml"] or len(parts) < 4 or {"..", ".", ""} & {*parts[3:]}:
            raise ChannelError(f"CheckpointConfig.LocalPath {local} is not a folder below /opt/ml")
        self.folders: list[Tree] = [(trusted, (*below, *parts[3:])) for trusted, below in trees]
        self._staging = staging
        self._objects = objects
        self._clock = clock
        self._seen: dict[tuple[int, str], _Version] = {}
        self._uploaded: dict[tuple[int, str], _Version] = {}

    async def restore(self) -> None:
        """Bring what is in S3 to every instance. ChannelError where the bucket does not exist."""
        prefix = self._location.key.rstrip("/")
        try:
            listed = await channels.list_objects(
                self._objects, self._location.bucket, f"{prefix}/" if prefix else ""
            )
        except LookupError as error:
            raise ChannelError(
                f"CheckpointConfig: the bucket of {self._location} does not exist"
            ) from error
        files = channels.arrange(
            "checkpoints", channels.below_prefix(listed, f"{prefix}/" if prefix else "")
        )
        for number, (trusted, below) in enumerate(self.folders):
            await placement.place(
                files,
                trusted.joinpath(*below),
                "reflink",
                lambda old: self._objects.stat(old.bucket, old.key),
            )
            self._uploaded.update(
                ((number, path), version) for path, version in self._look(number).items()
            )

    async def run(self) -> None:
        """Upload what settles, until cancelled."""
        while True:
            await self._clock.sleep(SYNC_S)
            await self.upload(final=False)

    async def upload(self, *, final: bool) -> None:
        """Upload new and changed files; with `final`, also those that changed just now. Raises
        OSError and LookupError only with `final`; before that, the next look tries again."""
        for number in range(len(self.folders)):
            for path, version in (await in_thread(self._look, number)).items():
                key = number, path
                settled = final or self._seen.get(key) == version
                self._seen[key] = version
                if not settled or self._uploaded.get(key) == version:
                    continue
                try:
                    if not self._is_in_s3(path, version):
                        await self._upload_one(number, path)
                    self._uploaded[key] = version
                except (OSError, LookupError) as error:
                    if final:
                        raise
                    log.warning("checkpoint %s was not uploaded: %s", path, error)

    def _look(self, number: int) -> dict[str, _Version]:
        trusted, below = self.folders[number]
        try:
            with nofollow.open_folder(trusted, *below) as folder:
                return {
                    entry.path: _Version(entry.status.st_size, entry.status.st_mtime_ns)
                    for entry in nofollow.walk(folder)
                    if stat.S_ISREG(entry.status.st_mode)
                }
        except OSError:
            return {}

    def _is_in_s3(self, path: str, version: _Version) -> bool:
        """After a restart of the cloud nobody remembers what was uploaded."""
        place = self._location.child(path)
        stored = self._objects.stat(place.bucket, place.key)
        changed = datetime.fromtimestamp(version.mtime_ns / 1e9, UTC)
        return (
            stored is not None
            and stored.size_bytes == version.size_bytes
            and stored.modified > changed
        )

    async def _upload_one(self, number: int, path: str) -> None:
        staged = self._staging / "checkpoint"
        place = self._location.child(path)
        try:
            await in_thread(stage, self.folders[number], path, staged)
            await self._objects.put_file(place.bucket, place.key, staged)
        finally:
            staged.unlink(missing_ok=True)
