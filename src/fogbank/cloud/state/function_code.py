"""`FunctionCode` in a folder: zips of functions and layers by their SHA-256.

    FOLDER/code/HEX.zip        a zip, never changed once it is there
    FOLDER/incoming/           what is being written; nothing of it is acknowledged
    FOLDER/unpacked/HEX/       what environments read; made when first asked for

A zip is acknowledged after its bytes and its name are durable. `unpacked` is not durable: it is
emptied when the store is opened, and made again as it is needed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from fogbank.cloud.state import zip_archive
from fogbank.cloud.state.objects_commit import sync

_COPY_BYTES = 1 << 20


class FunctionCodeStore:
    """See `ports.FunctionCode`."""

    def __init__(self, folder: Path) -> None:
        self._code = folder / "code"
        self._incoming = folder / "incoming"
        self._unpacked = folder / "unpacked"
        for leftover in (self._incoming, self._unpacked):
            shutil.rmtree(leftover, ignore_errors=True)
        for made in (self._code, self._incoming, self._unpacked):
            made.mkdir(parents=True, exist_ok=True)
        sync(folder)
        self._unpacking: dict[str, asyncio.Task[Path]] = {}
        self._unpacked_bytes: dict[str, int] = {}

    async def put(self, archive: bytes | Path) -> tuple[str, int]:
        return await asyncio.to_thread(self._put, archive)

    def archive(self, code_sha256: str) -> Path:
        path = self._code / f"{_hex(code_sha256)}.zip"
        if not path.is_file():
            raise LookupError(code_sha256)
        return path

    def unpacked_bytes(self, code_sha256: str) -> int:
        archive = self.archive(code_sha256)
        known = self._unpacked_bytes.get(code_sha256)
        if known is None:  # of an earlier run
            known = self._unpacked_bytes[code_sha256] = zip_archive.unpacked_bytes(archive)
        return known

    async def folder(self, code_sha256: str) -> Path:
        target = self._unpacked / _hex(code_sha256)
        if target.is_dir():
            return target
        archive = self.archive(code_sha256)
        task = self._unpacking.get(code_sha256)
        if task is None:
            task = asyncio.create_task(
                asyncio.to_thread(self._unpack, archive, target), name=f"unpack {target.name}"
            )
            self._unpacking[code_sha256] = task
            task.add_done_callback(partial(self._forget, code_sha256))
        # Several wait for one: that one of them is cancelled must not end it for the others.
        return await asyncio.shield(task)

    def sweep(self, named: Iterable[str]) -> int:
        """Remove the zips that no function and no layer names any more. Returns how many."""
        kept = {_hex(digest) for digest in named}
        leftovers = [path for path in self._code.iterdir() if path.stem not in kept]
        for path in leftovers:
            path.unlink()
        return len(leftovers)

    def _forget(self, code_sha256: str, _: object) -> None:
        del self._unpacking[code_sha256]

    def _put(self, archive: bytes | Path) -> tuple[str, int]:
        digest, size_bytes = hashlib.sha256(), 0
        descriptor, name = tempfile.mkstemp(dir=self._incoming)
        incoming = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as out:
                for piece in _pieces(archive):
                    digest.update(piece)
                    size_bytes += len(piece)
                    out.write(piece)
                out.flush()
                contents = zip_archive.inspect(incoming)
                os.fchmod(out.fileno(), 0o444)
                os.fsync(out.fileno())
            incoming.rename(self._code / f"{digest.hexdigest()}.zip")
            sync(self._code)
        finally:
            incoming.unlink(missing_ok=True)
        code_sha256 = b64encode(digest.digest()).decode("ascii")
        self._unpacked_bytes[code_sha256] = contents.size_bytes
        return code_sha256, size_bytes

    def _unpack(self, archive: Path, target: Path) -> Path:
        growing = Path(tempfile.mkdtemp(dir=self._incoming))
        try:
            zip_archive.unpack(archive, growing)
            growing.chmod(0o755)  # mkdtemp's folder is its owner's alone
            growing.rename(target)
        finally:
            shutil.rmtree(growing, ignore_errors=True)
        return target


def _hex(code_sha256: str) -> str:
    """The file's name. LookupError for what is no digest: a path never comes out of it."""
    try:
        digest = b64decode(code_sha256, validate=True)
    except ValueError as error:
        raise LookupError(code_sha256) from error
    if len(digest) != hashlib.sha256().digest_size:
        raise LookupError(code_sha256)
    return digest.hex()


def _pieces(archive: bytes | Path) -> Iterable[bytes]:
    if isinstance(archive, bytes):
        yield archive
        return
    with archive.open("rb") as source:
        while piece := source.read(_COPY_BYTES):
            yield piece
