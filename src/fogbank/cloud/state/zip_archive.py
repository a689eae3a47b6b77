"""Zips from strangers: a zip -> what is in it, or BadZip; and its files below one folder.

`inspect` reads the whole archive once and refuses what must not be unpacked; `unpack` writes what
`inspect` has passed. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import errno
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

MAX_UNPACKED_BYTES = 262_144_000
"""Code and layers of a function, unpacked (AWS: "Unzipped size must be smaller than ...")."""

MAX_MEMBERS = 100_000
_NAME_BYTES = 255
_PATH_BYTES = 4096
_PIECE_BYTES = 1 << 20
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)


class BadZip(ValueError):
    """Not a zip, damaged, or one that must not be unpacked. The message says which."""


class TooLarge(BadZip):
    """It unpacks to more than MAX_UNPACKED_BYTES."""


@dataclass(frozen=True, slots=True)
class Contents:
    """size_bytes: of all files together, unpacked."""

    size_bytes: int
    num_files: int


def inspect(archive: Path, *, max_members: int = MAX_MEMBERS) -> Contents:
    """What a zip holds. Raises BadZip for: no zip, damage (every checksum is verified), encryption,
    packing by other methods than deflate, an absolute path, `..`, links and devices, a name that is
    a file and a folder, too much. OSError where the file cannot be read."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            contents = _check(members, max_members)
            for member in members:
                if not member.is_dir():
                    _verify(opened, member)
            return contents
    except BadZip:
        raise
    except RuntimeError as error:  # what zipfile says of passwords
        raise BadZip(str(error)) from error
    except _DAMAGED as error:
        raise BadZip(f"not a zip, or damaged: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a disk's trouble, not the zip's
            raise
        raise BadZip("damaged: it points before its own beginning") from error


def unpacked_bytes(archive: Path) -> int:
    """The size of the files of a zip that `inspect` has passed."""
    with zipfile.ZipFile(archive) as opened:
        return sum(member.file_size for member in opened.infolist())


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of a zip that `inspect` has passed below `folder`, which is empty.

    Permissions are kept, so that what cannot be read or run on AWS cannot here; set-uid bits are
    dropped, and the owner can always read. Of equal names the last counts.
    """
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            target = folder.joinpath(*_parts(member.filename))
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            with opened.open(member) as source, target.open("xb") as out:
                while piece := source.read(_PIECE_BYTES):
                    out.write(piece)
            target.chmod(_mode(member) | 0o400)


def _mode(member: zipfile.ZipInfo) -> int:
    """A zip that was not made on Unix says nothing of permissions."""
    unix = member.external_attr >> 16
    return unix & 0o777 if unix else 0o644


def _check(members: list[zipfile.ZipInfo], max_members: int) -> Contents:
    if len(members) > max_members:
        raise BadZip(f"more than {max_members} members")
    size_bytes = sum(member.file_size for member in members)
    if size_bytes >= MAX_UNPACKED_BYTES:
        raise TooLarge(f"unpacks to {size_bytes} bytes")
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for member in members:
        parts = _parts(member.filename)
        _check_kind(member)
        folders.update(parts[:depth] for depth in range(1, len(parts)))
        (folders if member.is_dir() else files).add(parts)
    both = files & folders
    if both:
        raise BadZip(f"{'/'.join(min(both))!r} is both a file and a folder")
    return Contents(size_bytes, len(files))


def _check_kind(member: zipfile.ZipInfo) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise BadZip(f"{member.filename!r} is encrypted")
    if member.compress_type not in _METHODS:
        raise BadZip(f"{member.filename!r} is packed by another method than deflate")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise BadZip(f"{member.filename!r} is a link")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadZip(f"{member.filename!r} is neither a file nor a folder")
    if not member.is_dir() and kind == stat.S_IFDIR:
        raise BadZip(f"{member.filename!r} is a folder with the name of a file")


def _parts(name: str) -> tuple[str, ...]:
    if name.startswith(("/", "\\")) or name[1:3] in (":\\", ":/"):
        raise BadZip(f"{name!r} is an absolute path")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or ".." in name.split("\\"):
        raise BadZip(f"{name!r} climbs out of the folder")
    if not parts:
        raise BadZip(f"{name!r} is no name")
    encoded = [part.encode("utf-8", "surrogateescape") for part in parts]
    if max(map(len, encoded)) > _NAME_BYTES or len(name.encode()) > _PATH_BYTES:
        raise BadZip(f"{name[:80]!r}... is too long a name")
    return parts


def _verify(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Decompress it: zipfile gives out no more than the directory announced, and compares the
    checksum at the end."""
    with opened.open(member) as source:
        read_bytes = 0
        while piece := source.read(_PIECE_BYTES):
            read_bytes += len(piece)
    if read_bytes != member.file_size:
        raise BadZip(f"{member.filename!r} is cut short")
