"""Unpack a tar archive that a stranger made. In: a file. Out: plain files and folders below one
folder, or ArchiveError.

Nothing but regular files and folders is unpacked: a link is how an archive reaches out of its
folder in two steps, and neither source code nor a model needs one. An archive that holds anything
else is refused whole, because half a program is worse than none.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fogbank.images.errors import ArchiveError

_GZIP_MAGIC = b"\x1f\x8b"
_COPY_BYTES = 1 << 20
# The tar reader loads a member's extended header into memory in one read, however large the header
# says it is. No honest one comes near this.
_LARGEST_READ_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much an archive may unpack to."""

    size_bytes: int = 8 << 30
    """All regular files together, by their own claim and by what is really read."""
    num_members: int = 100_000
    """Members of any kind."""


def is_archive(path: Path) -> bool:
    """Whether the file is a tar archive, gzipped or plain."""
    try:
        with path.open("rb") as raw, _Bounded(_decompressed(raw), 1 << 40) as stream:
            tarfile.open(fileobj=stream, mode="r:").close()
    except (tarfile.TarError, OSError, EOFError, zlib.error, ArchiveError):
        return False
    return True


def unpack(path: Path, folder: Path, limits: Limits | None = None) -> int:
    """Unpack the tar archive at `path` (gzipped or plain) below `folder`; answer how many files.

    Raises ArchiveError where the file is no archive, is damaged, is larger than `limits`, or has a
    member that is neither a file nor a folder or whose name leaves `folder`. Names may begin with
    `./`; a folder named `` or `/` (the SDK's repacked models have one) is the root itself.
    """
    limits = limits or Limits()
    # Headers and padding need room too: 1.5 KiB a member is more than they take.
    ceiling = limits.size_bytes + limits.num_members * 1536 + (1 << 20)
    num_files = size = 0
    try:
        with (
            path.open("rb") as raw,
            _Bounded(_decompressed(raw), ceiling) as stream,
            tarfile.open(fileobj=stream, mode="r:") as tar,
        ):
            for number, member in enumerate(iter(tar.next, None), 1):
                if number > limits.num_members:
                    raise ArchiveError(
                        f"{path.name}: more than {limits.num_members} members; pack fewer files"
                    )
                parts = _parts(path.name, member)
                size += member.size if member.isreg() else 0
                if size > limits.size_bytes:
                    raise ArchiveError(
                        f"{path.name}: unpacks to more than {limits.size_bytes} bytes; refused"
                    )
                target = folder.joinpath(*parts)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                else:
                    _write(tar, member, target)
                    num_files += 1
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(
            f"{path.name} is not a tar.gz archive, or is damaged: {error}"
        ) from error
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise ArchiveError(
            f"{path.name}: the same name is a file and a folder: {error.filename}"
        ) from error
    return num_files


def _parts(archive: str, member: tarfile.TarInfo) -> list[str]:
    """The member's path below the folder; raises ArchiveError for what must not be unpacked."""
    where = f"{archive}: member {member.name!r}"
    if not member.isreg() and not member.isdir():
        kind = "a link" if member.issym() or member.islnk() else "a device or another special file"
        raise ArchiveError(f"{where} is {kind}; only files and folders are unpacked")
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if ".." in parts or (member.name.startswith("/") and parts):
        raise ArchiveError(f"{where} leaves the folder that it is unpacked into; refused")
    if not parts and not member.isdir():
        raise ArchiveError(f"{where} is a file without a name; refused")
    return parts


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # A later member of the same name replaces the earlier one, as tar does.
    target.unlink(missing_ok=True)
    source = tar.extractfile(member)
    if source is None:
        raise ArchiveError(f"member {member.name!r} has no content")
    with source, target.open("xb") as out:
        shutil.copyfileobj(source, out, _COPY_BYTES)
        if out.tell() != member.size:
            raise ArchiveError(f"member {member.name!r} is cut short")
    # Readable by its owner, never set-uid, never writable by others.
    target.chmod((member.mode & 0o755) | 0o600)


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    magic = raw.read(2)
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw, mode="rb") if magic == _GZIP_MAGIC else raw  # type: ignore[return-value]


class _Bounded(io.RawIOBase):
    """A read-only stream that refuses to be read past `ceiling` or in huge single reads."""

    def __init__(self, stream: IO[bytes], ceiling: int) -> None:
        self._stream = stream
        self._ceiling = ceiling

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or offset > self._ceiling:
            raise ArchiveError("the archive unpacks to more than is allowed; refused")
        return self._stream.seek(offset)

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or size > _LARGEST_READ_BYTES:
            raise ArchiveError("the archive has a header of an impossible size; refused")
        data = self._stream.read(size)
        if self._stream.tell() > self._ceiling:
            raise ArchiveError("the archive unpacks to more than is allowed; refused")
        return data
