"""Tar archives from strangers and for strangers.

`unpack`: an archive -> files below one folder, or ArchiveError; a hostile archive changes nothing
outside that folder and takes no more room than `Limits` allow. `pack`: folders that a job left ->
one archive, the same bytes for the same files.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fogbank.cloud.machines import nofollow
from fogbank.core.errors import FogbankError

_GZIP_MAGIC = b"\x1f\x8b"
_PIECE_BYTES = 1 << 20
_IMPOSSIBLE_NAME = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.EILSEQ, errno.EINVAL})
_HEADER_BYTES = 4 << 20
"""The most that is read to get to the next member: tarfile loads long names and extended headers
into memory, however long they claim to be."""


class ArchiveError(FogbankError):
    """The archive is not one, is damaged, or must not be unpacked. The message says which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What an archive may unpack to.

    size_bytes:       all files together.
    num_members:      members of any kind.
    ratio:            unpacked to packed size; asked only above `ratio_from_bytes`. Deflate cannot
                      do more than 1032; weights stay below 10.
    """

    size_bytes: int = 64 << 30
    num_members: int = 200_000
    ratio: int = 200
    ratio_from_bytes: int = 512 << 20


class _Metered(io.RawIOBase):
    """Gives out at most `allowance` bytes before somebody grants more."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.allowance = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        data = self._source.read(-1 if size is None else size)
        self.allowance -= len(data)
        if self.allowance < 0:
            raise ArchiveError("a header claims an impossible size")
        return data


def unpack(archive: Path, folder: Path, limits: Limits | None = None) -> int:
    """Unpack a gzipped tar below `folder` (which exists); answers the number of regular files.

    Names may begin with `./`; a folder named `` or `/` is `folder` itself (SDKs write such).
    Links are made where they stay inside. Owners and set-uid bits are dropped.
    Raises ArchiveError: not a gzipped tar, damaged or cut, over a limit, a name or link that leads
    outside, a device or pipe. What was unpacked until then stays: the caller throws `folder` away.
    """
    limits = limits or Limits()
    unpacker = _Unpacker(folder.resolve(), limits, archive.stat().st_size)
    try:
        with archive.open("rb") as raw:
            if raw.read(2) != _GZIP_MAGIC:
                raise ArchiveError("not a gzip file")
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw, mode="rb") as unzipped:
                metered = _Metered(unzipped)  # type: ignore[arg-type]
                metered.allowance = _HEADER_BYTES
                with tarfile.open(fileobj=metered, mode="r|", bufsize=64 * 1024) as tar:
                    while True:
                        metered.allowance = _HEADER_BYTES
                        member = tar.next()
                        if member is None:
                            break
                        metered.allowance = member.size + _HEADER_BYTES
                        unpacker.take(tar, member)
                        # tarfile keeps every member for random access; a stream needs none.
                        tar.members = []  # type: ignore[attr-defined]
        unpacker.check_links()
    except ArchiveError as error:
        raise ArchiveError(f"{archive.name}: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(
            f"{archive.name}: not a gzipped tar archive, or damaged: {error}"
        ) from error
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise ArchiveError(
            f"{archive.name}: a name is both a file and a folder: {error}"
        ) from error
    except OSError as error:
        if error.errno not in _IMPOSSIBLE_NAME:
            raise
        raise ArchiveError(f"{archive.name}: an impossible name: {error}") from error
    except (UnicodeError, ValueError) as error:
        raise ArchiveError(f"{archive.name}: an impossible name or number: {error}") from error
    return unpacker.num_files


class _Unpacker:
    def __init__(self, root: Path, limits: Limits, packed_bytes: int) -> None:
        self.num_files = 0
        self._root = root
        self._limits = limits
        self._packed_bytes = max(packed_bytes, 1)
        self._num_members = 0
        self._size_bytes = 0
        self._links: list[Path] = []

    def take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self._count(member)
        parts = _parts(member.name)
        if member.isdir():
            self._inside(self._root.joinpath(*parts)).mkdir(parents=True, exist_ok=True)
            return
        if not parts:
            raise ArchiveError(f"member {member.name!r} has no name")
        parent = self._inside(self._root.joinpath(*parts[:-1]))
        parent.mkdir(parents=True, exist_ok=True)
        target = parent / parts[-1]
        if member.isreg():
            _remove_old(target)
            self._write(tar, member, target)
        elif member.issym():
            _remove_old(target)
            self._link(member, target)
        elif member.islnk():
            self._hard_link(member, target)
        else:
            raise ArchiveError(f"member {member.name!r} is a device, a pipe or something unknown")

    def check_links(self) -> None:
        """A link that led inside when it was made may lead outside by now, through another one."""
        for link in self._links:
            if link.is_symlink():
                self._inside(link)

    def _count(self, member: tarfile.TarInfo) -> None:
        self._num_members += 1
        self._size_bytes += member.size
        if member.size < 0:
            raise ArchiveError(f"member {member.name!r} has a negative size")
        if self._num_members > self._limits.num_members:
            raise ArchiveError(f"more than {self._limits.num_members} members")
        if self._size_bytes > self._limits.size_bytes:
            raise ArchiveError(f"unpacks to more than {self._limits.size_bytes} bytes")
        if (
            self._size_bytes > self._limits.ratio_from_bytes
            and self._size_bytes > self._limits.ratio * self._packed_bytes
        ):
            raise ArchiveError(f"unpacks to more than {self._limits.ratio} times its size")

    def _inside(self, path: Path) -> Path:
        """`path` with every link on the way resolved; ArchiveError where that is outside."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError) as error:  # a loop of links
            raise ArchiveError(f"{path.name!r} cannot be resolved: {error}") from error
        if not real.is_relative_to(self._root):
            name = path.relative_to(self._root)
            raise ArchiveError(f"{str(name)!r} leads outside of the folder")
        return real

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
        source = tar.extractfile(member)
        if source is None:
            raise ArchiveError(f"member {member.name!r} has no content")
        with source, target.open("xb") as out:
            while piece := source.read(_PIECE_BYTES):
                out.write(piece)
            if out.tell() != member.size:
                raise ArchiveError(f"member {member.name!r} is cut short")
        target.chmod(0o755 if member.mode & 0o111 else 0o644)
        self.num_files += 1

    def _link(self, member: tarfile.TarInfo, target: Path) -> None:
        if member.linkname.startswith("/"):
            raise ArchiveError(f"link {member.name!r} leads to an absolute path")
        self._inside(target.parent / member.linkname)
        target.symlink_to(member.linkname)
        self._links.append(target)

    def _hard_link(self, member: tarfile.TarInfo, target: Path) -> None:
        original = self._inside(self._root.joinpath(*_parts(member.linkname)))
        if not original.is_file():
            raise ArchiveError(f"link {member.name!r} leads to {member.linkname!r}: no such file")
        if original != target:
            _remove_old(target)
            os.link(original, target, follow_symlinks=False)
        self.num_files += 1


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ArchiveError(f"member {name!r} climbs out of the folder")
    if name.startswith("/") and parts:
        raise ArchiveError(f"member {name!r} is an absolute path")
    if "\0" in name:
        raise ArchiveError(f"member {name!r} has a NUL in its name")
    return parts


def _remove_old(target: Path) -> None:
    """A later member replaces an earlier one; nothing is ever written through a link."""
    target.unlink(missing_ok=True)


def pack(
    sources: Sequence[tuple[Path, Sequence[str]]],
    target: Path,
    on_warning: Callable[[str], None],
) -> int:
    """Pack what is below the folders `trusted/below...` of `sources` into the gzipped tar `target`,
    merged (of equal names the first counts); answers the number of regular files.

    Deterministic: names in order, no times, no owners. Follows no link; links that lead outside,
    pipes and sockets are left out, with a warning. Raises OSError (a full disk); `target` is
    removed then.
    """
    taken: set[str] = set()
    num_files = 0
    try:
        with (
            target.open("wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for trusted, below in sources:
                with nofollow.open_folder(trusted, *below) as folder:
                    for entry in nofollow.walk(folder):
                        if entry.path in taken:
                            if not stat.S_ISDIR(entry.status.st_mode):
                                on_warning(f"{entry.path} exists on several instances")
                            continue
                        taken.add(entry.path)
                        num_files += _add(tar, entry, on_warning)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return num_files


def _add(tar: tarfile.TarFile, entry: nofollow.Entry, on_warning: Callable[[str], None]) -> int:
    member = tarfile.TarInfo(entry.path)
    mode = entry.status.st_mode
    member.mode = 0o755 if stat.S_ISDIR(mode) or mode & 0o111 else 0o644
    if stat.S_ISDIR(mode):
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
    elif stat.S_ISLNK(mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(entry.name, dir_fd=entry.folder)
        inside = os.path.normpath(f"/base/{entry.path}/../{member.linkname}")
        absolute = member.linkname.startswith("/")
        if absolute or not f"{inside}/".startswith("/base/"):
            on_warning(f"{entry.path} is a link to {member.linkname}: left out")
            return 0
        tar.addfile(member)
    elif stat.S_ISREG(mode):
        with nofollow.open_file(entry.name, entry.folder) as handle:
            member.size = os.fstat(handle).st_size
            with os.fdopen(os.dup(handle), "rb") as file:
                tar.addfile(member, file)
        return 1
    else:
        on_warning(f"{entry.path} is neither a file nor a folder: left out")
    return 0
