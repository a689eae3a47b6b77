"""Container images -> what runs in their place: a Python interpreter and one of our images.

A URI such as `763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6-cpu-py312` runs in
the interpreter that the first matching pattern names, else in the one that the cloud runs in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

_PACKAGES = Path(__file__).resolve().parents[3]
"""Where `fogbank` is: another interpreter need not have it installed, its images stand alone."""


@dataclass(frozen=True, kw_only=True)
class ImageMap:
    """interpreters: (pattern with * and ?, path of a Python interpreter), first match counts.
    search_path:  PATH of the cloud itself; the interpreter's own folder comes before it, so that
                  `python`, `pip` and `torchrun` are those of the image.
    """

    interpreters: Sequence[tuple[str, Path]] = ()
    search_path: str = os.defpath

    def python(self, image: str) -> Path:
        """The interpreter that stands for an image."""
        for pattern, interpreter in self.interpreters:
            if fnmatchcase(image, pattern):
                return interpreter
        return Path(sys.executable)

    def command(self, image: str, module: str) -> tuple[str, ...]:
        """What the image's own entry point is: `-m fogbank.images.training`, for example."""
        return (str(self.python(image)), "-m", module)

    def folders_in(self, home: Path) -> tuple[Path, ...]:
        """Folders below `home` without which programs cannot start: where the interpreters and
        Fogbank itself are installed, should that be there."""
        roots = [_PACKAGES, Path(sys.prefix), Path(sys.base_prefix)]
        roots += [interpreter.parent.parent for _, interpreter in self.interpreters]
        home = home.resolve()
        return tuple(root for root in roots if root.resolve().is_relative_to(home))

    def environment(self, image: str) -> dict[str, str]:
        """PATH, and PYTHONPATH where the interpreter is not the cloud's own."""
        python = self.python(image)
        found = {"PATH": f"{python.parent}{os.pathsep}{self.search_path}"}
        if python != Path(sys.executable):
            found["PYTHONPATH"] = str(_PACKAGES)
        return found
