"""Training: `main()` is a whole training job. A project's `train.py` needs nothing but a call.

Comes in: hyperparameters as arguments, pictures in the job's channels. Goes out: the model folder,
`evaluation.json`, metric lines on standard output. Started by torchrun, on one instance or several,
its processes train one model together.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from fogbank.vision.contract import job_folders
from fogbank.vision.errors import WorkloadError
from fogbank.vision.train.arguments import parse
from fogbank.vision.train.ranks import joined
from fogbank.vision.train.run import run

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Train, in the folders that the environment names.

    Raises:
        SystemExit: the input is wrong; with one sentence on standard error and exit status 1, so
            that a script which only calls `main()` fails as a job, too.
    """
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        with joined(os.environ) as ranks:
            say = _say if ranks.is_first else _say_nothing
            for note in arguments.notes:
                say(note)
            run(arguments.config, job_folders(os.environ), say, ranks)
    except WorkloadError as error:
        raise SystemExit(f"error: {error}") from error


def _say(line: str) -> None:
    print(line, flush=True)  # a job's log is read while it runs


def _say_nothing(line: str) -> None:
    """For ranks whose words would only repeat the first one's."""
