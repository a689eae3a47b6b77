"""One process of a training for tests: `python rank_job.py JOB.json`, in torchrun's environment.

JOB.json: {"config": {...}, "channel": FOLDER, "model": FOLDER, "output": FOLDER,
           "checkpoints": FOLDER | null, "die_at": beginning of a line | null}
The result goes to standard output, the log lines of every rank to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from fogbank.vision.contract import JobFolders
from fogbank.vision.errors import WorkloadError
from fogbank.vision.train.config import TrainingConfig
from fogbank.vision.train.ranks import joined
from fogbank.vision.train.run import run


def main() -> None:
    torch.set_num_threads(1)
    job = json.loads(Path(sys.argv[1]).read_text())
    folders = JobFolders(
        model=Path(job["model"]),
        output_data=Path(job["output"]),
        checkpoints=Path(job["checkpoints"]) if job["checkpoints"] else None,
        channels={"training": Path(job["channel"])},
        num_hosts=2,
    )

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        if job["die_at"] and ranks.is_first and line.startswith(job["die_at"]):
            os._exit(9)

    with joined(os.environ) as ranks:
        try:
            result = run(TrainingConfig(**job["config"]), folders, say, ranks)
        except WorkloadError as error:
            raise SystemExit(f"error: {error}") from error
    print(json.dumps({"rank": ranks.rank, "metrics": result.metrics}))


main()
