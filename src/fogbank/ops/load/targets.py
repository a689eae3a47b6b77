"""What load is made of and where it may go: pictures, and this machine."""

from __future__ import annotations

import ipaddress
import mimetypes
from pathlib import Path
from urllib.parse import urlsplit

from fogbank.core.errors import InputError
from fogbank.ops.invoke import read_picture

MAX_PICTURES = 50
"""So many different ones are sent, in turn."""


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine and nowhere else."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def local_only(url: str) -> None:
    """Raises InputError for a cloud elsewhere: load costs money there, and others are on it."""
    if not is_loopback(url):
        raise InputError(f"{url} is not this machine: load goes to a local cloud only.")


def sample_pictures(source: Path) -> list[tuple[str, bytes]]:
    """(content type, bytes) of a picture, or of some of a folder: of its `test` part where it has
    one. Raises InputError where there is none."""
    if source.is_file():
        return [(_type(source), read_picture(source))]
    folder = source / "test" if (source / "test").is_dir() else source
    found = sorted(path for path in folder.rglob("*") if _type(path).startswith("image/"))
    if not found:
        raise InputError(f"there is no picture in {folder}: name some with --pictures")
    step = max(1, len(found) // MAX_PICTURES)
    return [(_type(path), read_picture(path)) for path in found[::step][:MAX_PICTURES]]


def _type(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or ""
