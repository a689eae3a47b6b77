"""What a version's files are: its code at /var/task, its layers merged at /opt.

In: the code store. Out: folders that are never written to. Of layers with equal names the later one
counts ("Managing Lambda dependencies with layers", Lambda Developer Guide).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.ports import FunctionCode, Records
from fogbank.cloud.records.function import FunctionVersion, LayerVersion, layer_key


@dataclass(frozen=True, slots=True)
class VersionFiles:
    """task: what a function has at /var/task. opt: at /opt; None without layers."""

    task: Path
    opt: Path | None


class VersionStore:
    """folder: where merged layers are kept, by their contents; made anew with each `clear`."""

    def __init__(self, code: FunctionCode, records: Records, folder: Path) -> None:
        self._code = code
        self._records = records
        self._folder = folder
        self._lock = asyncio.Lock()

    async def clear(self) -> None:
        """Forget what an earlier run merged: it may have been cut short."""
        await in_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)

    async def files(self, version: FunctionVersion) -> VersionFiles:
        """Where they are, unpacked when first asked for. LookupError: code or a layer has gone.
        ValueError: the zip cannot be unpacked."""
        task = await self._code.folder(version.code_sha256)
        digests = [self._layer(arn).code_sha256 for arn in version.layers]
        if not digests:
            return VersionFiles(task, None)
        layers = [await self._code.folder(digest) for digest in digests]
        if len(layers) == 1:
            return VersionFiles(task, layers[0])
        return VersionFiles(task, await self._merged(digests, layers))

    def _layer(self, arn: str) -> LayerVersion:
        layer = self._records.get(LayerVersion, layer_key(arn))
        if layer is None or layer.arn != arn:
            raise LookupError(f"Layer version {arn} does not exist.")
        return layer

    async def _merged(self, digests: Sequence[str], layers: Sequence[Path]) -> Path:
        target = self._folder / hashlib.sha256(" ".join(digests).encode()).hexdigest()
        async with self._lock:
            if not target.exists():
                partial = target.with_suffix(".partial")
                await in_thread(_merge, layers, partial)
                partial.rename(target)
        return target


def _merge(layers: Sequence[Path], target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    for layer in layers:
        for root, _, names in os.walk(layer):
            place = target / Path(root).relative_to(layer)
            _make_folder(place, target)
            for name in names:
                _remove(place / name)
                shutil.copy2(Path(root, name), place / name, follow_symlinks=False)
    target.mkdir(exist_ok=True)


def _make_folder(place: Path, target: Path) -> None:
    """A folder of a later layer replaces a file of an earlier one."""
    for folder in (place, *place.parents):
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        if folder == target:
            break
    place.mkdir(parents=True, exist_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
