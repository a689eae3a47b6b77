"""The versions that a container image promises -> a note about those that it gets here.

AWS's deep learning containers say theirs in the tag (Deep Learning Containers, "Available images"):
`pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker`, of old `pytorch-training:1.4.0-cpu-py3`.
An image map puts an interpreter of this machine in their place, whatever they ask for.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

_PYTORCH = re.compile(r"pytorch-(?:training|inference)[^/:]*:(?P<torch>\d+(?:\.\d+)*)\b")
_PYTHON = re.compile(r"-py(?P<major>\d)(?P<minor>\d+)?\b")
_SAME_PARTS = 2
"""PyTorch 2.6.0 and 2.6.1 are the same for a script."""


def version_note(image: str, python: Path) -> str | None:
    """What somebody who chose that image should know, where `python` runs in its place; None where
    the image says no versions, or gets what it says.

    Raises nothing for an interpreter without PyTorch: that is a difference, too.
    """
    found = _PYTORCH.search(image)
    if found is None:
        return None
    asked = found["torch"]
    language = _PYTHON.search(image, found.end())
    asked_language = ".".join(filter(None, language.groups())) if language else ""
    here, language_here = _torch_version(python), _python_version(python)
    same_torch = here is not None and _parts(here) == _parts(asked)
    if same_torch and _is_some(language_here, asked_language):
        return None
    return (
        f"The image is for PyTorch {asked}"
        + (f" and Python {asked_language}" if asked_language else "")
        + f"; in its place {python} runs, which has "
        + (f"PyTorch {here}" if here else "no PyTorch")
        + f" and Python {language_here}."
    )


def _parts(version: str) -> list[str]:
    return version.split("+")[0].split(".")[:_SAME_PARTS]


def _is_some(version: str, asked: str) -> bool:
    """Whether 3.12 is some `3`, some `3.12`, and in any case what nobody asked for."""
    return not asked or version == asked or version.startswith(f"{asked}.")


def _python_version(python: Path) -> str:
    if python == Path(sys.executable):
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    folders = [folder.parent.name for folder in _site_packages(python)]
    return folders[0].removeprefix("python") if folders else "of an unknown version"


def _torch_version(python: Path) -> str | None:
    if python == Path(sys.executable):
        try:
            return distribution("torch").version
        except PackageNotFoundError:
            return None
    paths = [str(folder) for folder in _site_packages(python)]
    return next((one.version for one in Distribution.discover(name="torch", path=paths)), None)


def _site_packages(python: Path) -> list[Path]:
    """Of the environment that the interpreter is in; not asked, because that takes a process."""
    return sorted((python.parent.parent / "lib").glob("python3*/site-packages"), reverse=True)
