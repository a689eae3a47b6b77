"""tar.gz archives: code, and a model together with its inference code.

The bytes depend on names and contents alone (no times, no owners), so equal code has an equal
archive. Archives are streamed: a model may be larger than memory.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Mapping
from typing import BinaryIO, Protocol, cast

from fogbank.core.errors import WorldError

CODE_FOLDER = "code"
"""Where the inference image looks for the user's code inside a model archive."""


class Readable(Protocol):
    """What an S3 object's body can do."""

    def read(self, size: int = -1, /) -> bytes: ...


def pack(contents: Mapping[str, bytes]) -> bytes:
    """A sourcedir.tar.gz: members at the root, by name."""
    stream = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as compressed,
        tarfile.open(mode="w", fileobj=compressed, format=tarfile.PAX_FORMAT) as archive,
    ):
        _add(archive, contents, prefix="")
    return stream.getvalue()


def repack(model: Readable, contents: Mapping[str, bytes], target: BinaryIO) -> None:
    """Copy a model archive to `target` with `contents` as its code folder, as the SageMaker SDK
    does; a code folder that it has is replaced. Nothing is unpacked on this machine.

    Raises WorldError where `model` is not a tar.gz.
    """
    try:
        with (
            tarfile.open(mode="r|gz", fileobj=cast("BinaryIO", model)) as source,
            # Weights hardly compress: level 1 costs a fifth of the time for the same size.
            gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0, compresslevel=1) as out,
            tarfile.open(mode="w", fileobj=out, format=tarfile.PAX_FORMAT) as archive,
        ):
            for member in source:
                name = member.name.removeprefix("./").strip("/")
                if not name or name.split("/")[0] == CODE_FOLDER:
                    continue
                archive.addfile(member, source.extractfile(member) if member.isreg() else None)
            _add(archive, contents, prefix=f"{CODE_FOLDER}/")
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise WorldError(f"the model archive is not a tar.gz: {error}") from error


def _add(archive: tarfile.TarFile, contents: Mapping[str, bytes], *, prefix: str) -> None:
    for name in sorted(contents):
        member = tarfile.TarInfo(prefix + name)
        member.size = len(contents[name])
        member.mode = 0o644
        archive.addfile(member, io.BytesIO(contents[name]))
