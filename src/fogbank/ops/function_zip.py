"""The function's zip: the project's module, and the front that it imports.

`fogbank/front/` goes along as it is installed here, so that the zip works where Fogbank is not: on
AWS. The bytes depend on names and contents alone, also on another machine: nothing is compressed,
because another zlib may give other bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from fogbank.core.errors import InputError

MAX_ZIP_BYTES = 50 * 1024 * 1024
"""Of one that is sent with the request (Lambda quotas)."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can name."""


def front_members() -> dict[str, Path]:
    """Name in the zip -> file, of the front and of the package around it."""
    package = Path(str(files("fogbank")))
    modules = [package / "__init__.py", *sorted((package / "front").glob("*.py"))]
    return {f"fogbank/{module.relative_to(package).as_posix()}": module for module in modules}


def pack_zip(contents: Mapping[str, bytes]) -> bytes:
    """Members by name, readable by all. Raises InputError where Lambda would not take it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.create_system = 3  # Unix, whatever this machine is: else the mode is not read
            member.external_attr = 0o100644 << 16
            archive.writestr(member, contents[name])
    if stream.tell() > MAX_ZIP_BYTES:
        raise InputError(
            f"function.source_dir: its zip has {stream.tell() / 1e6:.0f} MB; Lambda takes "
            f"{MAX_ZIP_BYTES / 1e6:.0f} MB. Leave out what the function does not import."
        )
    return stream.getvalue()


def code_sha256(archive: bytes) -> str:
    """As Lambda shows it: base64."""
    return base64.b64encode(hashlib.sha256(archive).digest()).decode()
