"""The interpreter that functions run in: Fogbank's own Python with what Lambda's has, and no more.

AWS's Python runtime has the standard library, the SDK (boto3 and what it needs) and the runtime
client. Fogbank's environment has torch, numpy and much else; a function that imports what is not in
its zip has to fail here as it does there. So a small virtual environment is made of links to the
few packages. Source: "Building Lambda functions with Python" (Lambda Developer Guide).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from fogbank.core.errors import WorldError

DISTRIBUTIONS = (
    "awslambdaric",
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "simplejson",
    "six",
    "snapshot-restore-py",
    "urllib3",
)


class RuntimeMissing(WorldError):
    """A package of the runtime is not installed."""


@dataclass(frozen=True, slots=True)
class FunctionRuntime:
    """python: the interpreter's path. folder: of the virtual environment.
    version: as INIT_START shows it, `python:3.11.v7`.
    sources: the folders that its links lead to: an environment whose /tmp is its own has to see
             them where all of Fogbank is installed below /tmp."""

    python: Path
    folder: Path
    version: str
    sources: tuple[Path, ...]

    def arn(self, region: str) -> str:
        """Of this version; AWS's have a hash of the runtime there, too."""
        unique = hashlib.sha256(f"{self.version} {sys.version}".encode()).hexdigest()
        return f"arn:aws:lambda:{region}::runtime:{unique}"

    def substitute_notice(self, wanted: str) -> str | None:
        """What the log says where a function asked for another Python than runs here."""
        if wanted == own_runtime():
            return None
        return f"Fogbank runs {wanted} functions in Python {platform.python_version()}"


def own_runtime() -> str:
    """The runtime identifier of the Python that runs here: `python3.11`."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def make_runtime(folder: Path) -> FunctionRuntime:
    """Make it anew in `folder`, which is replaced: packages may have been updated since.

    Raises RuntimeMissing, with what to install.
    """
    shutil.rmtree(folder, ignore_errors=True)
    packages = folder / "lib" / own_runtime() / "site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    base = Path(sys.base_prefix) / "bin" / own_runtime()
    if not base.exists():
        base = Path(sys.executable).resolve()
    python = folder / "bin" / "python"
    python.symlink_to(base)
    # By this file and the place of bin/python, an interpreter knows a virtual environment.
    (folder / "pyvenv.cfg").write_text(
        f"home = {base.parent}\ninclude-system-site-packages = false\n"
        f"version = {platform.python_version()}\n"
    )
    sources = {Path(sys.base_prefix)}
    for name in DISTRIBUTIONS:
        for source in _top_level(name):
            (packages / source.name).symlink_to(source)
            sources.add(source.parent)
    version = f"python:{sys.version_info.major}.{sys.version_info.minor}"
    return FunctionRuntime(
        python, folder, f"{version}.v{sys.version_info.micro}", tuple(sorted(sources))
    )


def _top_level(name: str) -> set[Path]:
    """Packages, modules and metadata of a distribution, where they are installed."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise RuntimeMissing(
            f"{name} is not installed in {sys.prefix}: functions need it. Run `pip install {name}`."
        ) from None
    found: set[Path] = set()
    for file in distribution.files or ():
        first = file.parts[0]
        if first not in ("..", "__pycache__"):
            found.add(Path(str(distribution.locate_file(first))))
    return found
