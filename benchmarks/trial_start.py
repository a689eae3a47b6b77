"""What a trial costs beside its script: from the tuning job's creation to the first trial's first
line, and from a trial's last line to the next one's first, beside the same script started by hand.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise

from harness.bench import Bench, alternate
from harness.results import Result, Row, Series
from harness.tuning import Search, TuningJobs, facts_of

NAME = "trial_start"
BUDGET = "first line of the first trial ≤ 0.5 s beyond the interpreter's own start"

_LIMIT_S = 0.5
_ROUNDS = 6
_NUM_TRIALS = 6
_RANGES = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "1"}]}

SCRIPT = """\
import time
first_line = time.time()
import json, sys
print("Loss: " + sys.argv[sys.argv.index("--rate") + 1])
print("BENCHMARK " + json.dumps({"first_line": first_line, "last_line": time.time()}), flush=True)
"""


def measure(bench: Bench) -> Result:
    script = bench.scratch / "hpo.py"
    script.write_text(SCRIPT)

    def by_hand() -> list[float]:
        """Trial after trial: from what comes before to each first line."""
        waits = []
        before = time.time()
        for number in range(_NUM_TRIALS):
            done = subprocess.run(
                [sys.executable, "--", script, "--rate", str(number / _NUM_TRIALS)],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                capture_output=True,
                text=True,
                check=True,
            )
            facts = facts_of(done.stdout.splitlines())
            waits.append(facts["first_line"] - before)
            before = facts["last_line"]
        return waits

    with bench.fogbank() as cloud:
        jobs = TuningJobs(cloud, SCRIPT)

        def tuned(strategy: str) -> list[float]:
            return _waits(
                jobs.run(num_trials=_NUM_TRIALS, parallel=1, strategy=strategy, ranges=_RANGES)
            )

        bench.say("tuning jobs")
        found = alternate(
            bench.rounds(_ROUNDS),
            {
                "Random": lambda: tuned("Random"),
                "Bayesian": lambda: tuned("Bayesian"),
                "hand": by_hand,
            },
        )
    first_by_hand, next_by_hand = _first_and_next(found["hand"])
    rows = []
    for strategy in ("Random", "Bayesian"):
        first, later = _first_and_next(found[strategy])
        rows.append(
            Row(
                what=f"{strategy}: CreateHyperParameterTuningJob → first line",
                fogbank=Series("s", first),
                peer=Series("s", first_by_hand),
                peer_name="python hpo.py",
                judged="difference",
                limit=_LIMIT_S,
            )
        )
        rows.append(
            Row(
                what=f"{strategy}: a trial's last line → the next one's first",
                fogbank=Series("s", later),
                peer=Series("s", next_by_hand),
                peer_name="python hpo.py, again",
                judged="difference",
            )
        )
    return Result(
        rows=rows,
        notes=[
            f"{_NUM_TRIALS} trials, one at a time. Between two: the end of the process is seen, "
            "output goes to S3, records are written, the next values are chosen, and an instance "
            "starts. Of a round's gaps the median counts.",
            "Bayesian asks its model for the later half of the trials.",
        ],
    )


def _waits(search: Search) -> list[float]:
    facts = [trial.facts for trial in search.trials]
    gaps = [after["first_line"] - before["last_line"] for before, after in pairwise(facts)]
    return [facts[0]["first_line"] - search.began, *gaps]


def _first_and_next(rounds: Sequence[list[float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    gaps = (sorted(waits[1:]) for waits in rounds)
    return tuple(waits[0] for waits in rounds), tuple(each[len(each) // 2] for each in gaps)
