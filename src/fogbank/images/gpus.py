"""How many GPUs an instance has. In: the environment. Out: a number. May start nvidia-smi."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


def num_gpus(environ: Mapping[str, str]) -> int:
    """The GPUs that CUDA_VISIBLE_DEVICES names where it is set, else those of the driver."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        listed = [name.strip() for name in visible.split(",")]
        # CUDA's own rule: the list ends at the first invalid entry, and -1 is the usual one.
        return next((n for n, name in enumerate(listed) if name in ("", "-1")), len(listed))
    # Looked for first: starting nvidia-smi costs more than the rest of an image's start.
    if not Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is None:
        return 0
    listed_by_driver = subprocess.run(
        ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False, timeout=30
    ).stdout
    return sum(line.startswith("GPU ") for line in listed_by_driver.splitlines())
