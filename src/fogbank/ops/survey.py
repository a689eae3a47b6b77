"""What is on this disk: the project's pictures and code. Reads files, changes nothing.

Comes in: the spec and the project's folder. Goes out: every file of the data folder with the ETag
that S3 will give it, and the members of the two code archives.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fogbank.core.errors import InputError
from fogbank.ops.function_zip import code_sha256, front_members, pack_zip
from fogbank.ops.search_report import FOLDER as REPORT_FOLDER
from fogbank.ops.spec import Spec
from fogbank.ops.spec_function import Function
from fogbank.ops.tuned import FILE_NAME as TUNED_FILE

PART_BYTES = 64 << 20
"""Larger files go up in parts of this size, and their ETag follows from the parts."""

_REQUIREMENTS = "requirements.txt"
_NOT_CODE = frozenset({"__pycache__", "node_modules"})
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of the data folder."""

    name: str
    """Relative to the data folder, with slashes: train/cat/1.jpg."""
    path: Path
    size_bytes: int
    etag: str
    """As S3 computes it: MD5, or MD5 of the parts' MD5s and their number."""


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A member of a code archive."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Code:
    """An entry point and everything that goes along with it."""

    entry_point: str
    """Name of the member to run or import."""
    members: tuple[CodeFile, ...]
    digest: str
    """SHA-256 over names and contents; of a function's code that of its zip, as Lambda shows it."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The project's own files."""

    data: tuple[LocalFile, ...]
    training_code: Code
    inference_code: Code
    function_code: Code | None = None
    """None where the spec has no function."""

    @property
    def data_size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.data)


def survey(spec: Spec, folder: Path) -> Survey:
    """Look at the project in `folder`.

    Raises InputError where something that the spec names is missing, empty or unreadable.
    """
    data = survey_data(folder, spec.data.path)
    # What Fogbank writes into the project is no code: a result must not change what it is for.
    skipped = frozenset(
        (folder / name).resolve() for name in (spec.data.path, TUNED_FILE, REPORT_FOLDER)
    )
    return Survey(
        data=data,
        training_code=_code(
            folder, spec.train.source_dir, spec.train.entry_point, skipped, "train"
        ),
        inference_code=_code(
            folder, spec.endpoint.source_dir, spec.endpoint.entry_point, skipped, "endpoint"
        ),
        function_code=_function_code(folder, spec.function, skipped) if spec.function else None,
    )


def survey_data(folder: Path, path: str) -> tuple[LocalFile, ...]:
    """Every file of the data folder, by name; hidden ones stay out."""
    root = folder / path
    if not root.is_dir():
        raise InputError(
            f"data.path: there is no folder {root}. Put the pictures there (train/ valid/ test/, "
            "in each a folder a class), or name their folder in fogbank.yaml."
        )
    found = list(_files(root))
    if not found:
        raise InputError(
            f"data.path: the folder {root} has no files in it. Put the pictures there: train/ "
            "valid/ test/, in each a folder a class."
        )
    for name, _ in found:
        _check_name(root, name)
    # MD5 lets go of the interpreter's lock: threads read and hash side by side.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return tuple(pool.map(lambda item: _local_file(*item), found))


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Links are followed: data sets are often linked into a project. A loop is entered once."""
    entered: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent) / name
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(root).as_posix(), path


def _check_name(root: Path, name: str) -> None:
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "backslashreplace").decode()
        raise InputError(
            f"the name of {root}/{shown} is not UTF-8, so it cannot be stored in S3: rename it."
        ) from None
    if len(encoded) > 900:
        raise InputError(
            f"the name of {root / name} is longer than S3 allows (1024 bytes with its prefix)."
        )


def _local_file(name: str, path: Path) -> LocalFile:
    try:
        size_bytes, etag = etag_of(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return LocalFile(name, path, size_bytes, etag)


def etag_of(path: Path, part_bytes: int = PART_BYTES) -> tuple[int, str]:
    """Size and ETag of a file as it is uploaded by `data.apply` (S3 User Guide, "Checking object
    integrity": objects of one part have their MD5, others an MD5 of MD5s, a hyphen, their number).
    """
    parts: list[bytes] = []
    size_bytes = 0
    with path.open("rb") as stream:
        while True:
            digest = hashlib.md5(usedforsecurity=False)
            part_size = 0
            while part_size < part_bytes and (
                chunk := stream.read(min(_CHUNK_BYTES, part_bytes - part_size))
            ):
                digest.update(chunk)
                part_size += len(chunk)
            if part_size == 0 and parts:
                break
            parts.append(digest.digest())
            size_bytes += part_size
            if part_size < part_bytes:
                break
    if size_bytes < part_bytes:
        return size_bytes, parts[0].hex()
    whole = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return size_bytes, f"{whole}-{len(parts)}"


def _code(
    folder: Path, source_dir: str | None, entry_point: str, skipped: Set[Path], section: str
) -> Code:
    """The members, as the SageMaker SDK chooses them: a whole folder, or the script alone."""
    base = folder / source_dir if source_dir else folder
    script = base / entry_point
    if not script.is_file():
        raise InputError(
            f"{section}.entry_point: there is no file {script}. Write it, or name another in "
            "fogbank.yaml; `fogbank init` shows what one looks like."
        )
    if source_dir:
        members = list(_code_files(base, skipped))
        name = entry_point
    else:
        members = [CodeFile(script.name, script)]
        requirements = script.parent / _REQUIREMENTS
        if requirements.is_file():
            members.append(CodeFile(_REQUIREMENTS, requirements))
        name = script.name
    return Code(name, tuple(members), digest_of(read_members(members)))


def _function_code(folder: Path, function: Function, skipped: Set[Path]) -> Code:
    """The project's module or folder, and the front, unless the project has one of its own."""
    own = _code(folder, function.source_dir, function.entry_point, skipped, "function")
    members = {
        member.name: member
        for member in own.members
        # Lambda installs nothing, and the requirements beside a script are those of training.
        if function.source_dir or member.name == own.entry_point
    }
    for name, path in front_members().items():
        members.setdefault(name, CodeFile(name, path))
    chosen = tuple(members.values())
    return Code(own.entry_point, chosen, code_sha256(pack_zip(read_members(chosen))))


def _code_files(base: Path, skipped: Set[Path]) -> Iterator[CodeFile]:
    for parent, folders, names in os.walk(base):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NOT_CODE
            and (Path(parent) / name).resolve() not in skipped
        )
        for name in sorted(names):
            path = Path(parent) / name
            if not name.startswith(".") and path.is_file() and path.resolve() not in skipped:
                yield CodeFile(path.relative_to(base).as_posix(), path)


def read_members(members: list[CodeFile] | tuple[CodeFile, ...]) -> dict[str, bytes]:
    """Name -> contents. Raises InputError for one that cannot be read."""
    try:
        return {member.name: member.path.read_bytes() for member in members}
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}") from error


def digest_of(contents: dict[str, bytes]) -> str:
    """SHA-256 over names and contents, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(contents):
        for part in (name.encode("utf-8", "surrogateescape"), contents[name]):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
