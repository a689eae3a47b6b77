"""Record: transfer learning on ten dog breeds, default backbone frozen, one run a seed.

    python benchmarks/vision_dogs.py [--seeds 3] [--out RECORD.json] [-- TRAINING ARGUMENTS]

Finds the pictures in $FOGBANK_TEST_DATA/dogs or shared/data/dogs beside the repository (`train/`
and `valid/`, one folder a breed); without them it says so and ends with status 0. Each run is a
training job in a process of its own; its seconds include the interpreter's start and all imports.
`valid_accuracy` is of the epoch that was chosen on the same split, `last_epoch_accuracy` of the
last one, on which nothing was chosen.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET = 0.93


def pictures() -> Path:
    """The folder of dog photographs, present or not."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("FOGBANK_TEST_DATA") or beside) / "dogs"


def train(folder: Path, seed: int, extra: list[str]) -> dict[str, float | int]:
    """One training job; its accuracies, loss and wall-clock seconds."""
    with tempfile.TemporaryDirectory() as base:
        environ = {
            **os.environ,
            "SAGEMAKER_BASE_DIR": base,
            "SM_CHANNEL_TRAIN": str(folder / "train"),
            "SM_CHANNEL_VALIDATION": str(folder / "valid"),
        }
        command = [sys.executable, "-m", "fogbank.vision.train", "--seed", str(seed), *extra]
        started = time.perf_counter()
        job = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if job.returncode:
            raise SystemExit(f"seed {seed} failed:\n{job.stdout}{job.stderr}")
    accuracies = [float(value) for value in re.findall(r"\bvalid_accuracy=(\S+)", job.stdout)]
    losses = [float(value) for value in re.findall(r"\bvalid_loss=(\S+)", job.stdout)]
    return {
        "seed": seed,
        "valid_accuracy": accuracies[-1],
        "valid_loss": losses[-1],
        "last_epoch_accuracy": accuracies[-2],
        "epochs": len(accuracies) - 1,
        "seconds": round(seconds, 1),
    }


def machine() -> dict[str, object]:
    """What the numbers were made on."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": [round(value, 2) for value in os.getloadavg()],
        "system": platform.platform(),
    }


def main() -> None:
    """Run the seeds and print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="number of runs (default 3)")
    parser.add_argument("--out", type=Path, help="also write the record to this file")
    parser.add_argument("extra", nargs="*", help="arguments of the training, after --")
    arguments = parser.parse_args()
    folder = pictures()
    if not (folder / "train").is_dir():
        print(f"no dog photographs in {folder}: set FOGBANK_TEST_DATA. Nothing measured.")
        return
    about = machine()
    runs = [train(folder, seed, arguments.extra) for seed in range(arguments.seeds)]
    accuracies = [run["valid_accuracy"] for run in runs]
    record = {
        "name": "vision_dogs",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "benchmarks/vision_dogs.py", *sys.argv[1:]]),
        "machine": about,
        "versions": {
            "python": platform.python_version(),
            **{
                package: importlib.metadata.version(package)
                for package in ("torch", "timm", "pillow", "numpy")
            },
        },
        "pictures": {
            split: sum(1 for path in (folder / split).rglob("*") if path.is_file())
            for split in ("train", "valid")
        },
        "runs": runs,
        "valid_accuracy": {
            "mean": round(statistics.mean(accuracies), 4),
            "min": min(accuracies),
            "max": max(accuracies),
            "target": TARGET,
            "reached": min(accuracies) >= TARGET,
        },
    }
    text = json.dumps(record, indent=2)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
