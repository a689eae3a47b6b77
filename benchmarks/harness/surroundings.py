"""What a number was measured on: machine, versions, commit, time. Reads, changes nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("fogbank", "boto3", "botocore", "uvloop", "httptools", "torch")


def machine() -> dict[str, object]:
    """CPU model, cores, memory, kernel."""
    info = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
    }


def versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Python's, and those of the installed among `packages`."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The checkout's commit, with `-dirty` where files differ from it."""
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "no commit yet"


def now() -> datetime:
    return datetime.now(UTC)


def load() -> list[float]:
    """Runnable processes, averaged over 1, 5 and 15 minutes: above the cores, numbers are noisy."""
    return [round(value, 2) for value in os.getloadavg()]
