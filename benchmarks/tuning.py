"""A tuning job of eight trials, two at a time, beside the same eight trials started by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.bench import Bench, alternate
from harness.results import Result, Row, Series
from harness.tuning import Search, TuningJobs, facts_of

NAME = "tuning"
BUDGET = "none: eight trials, two at a time, beside the script by hand"

_ROUNDS = 4
_NUM_TRIALS, _PARALLEL = 8, 2
_LIMIT_S = 300
_NICE = 10
"""Of instances, so that the cloud stays responsive; so trials by hand are niced, too."""
_RANGES = {
    "ContinuousParameterRanges": [
        {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
    ],
    "CategoricalParameterRanges": [{"Name": "momentum", "Values": ["0.8", "0.9"]}],
}

SCRIPT = """\
import argparse, json, os, pathlib, time
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--momentum", type=float)
arguments = parser.parse_args()
torch.manual_seed(0)
pictures, labels = torch.randn(256, 3, 32, 32), torch.randint(10, (256,))
model = nn.Sequential(
    nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Flatten(),
    nn.Linear(16 * 28 * 28, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=arguments.lr, momentum=arguments.momentum)
for step in range(15):
    loss = nn.functional.cross_entropy(model(pictures), labels)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
print(f"Loss: {loss.item():.6f}")
torch.save(model.state_dict(), pathlib.Path(os.environ["SM_MODEL_DIR"], "model.pth"))
facts = {"threads": torch.get_num_threads(), "cores": len(os.sched_getaffinity(0)),
         "niceness": os.nice(0), "waits": os.environ.get("OMP_WAIT_POLICY")}
print("BENCHMARK " + json.dumps(facts), flush=True)
"""


def measure(bench: Bench) -> Result:
    script = bench.scratch / "hpo.py"
    script.write_text(SCRIPT)
    searches: list[Search] = []
    with bench.fogbank() as cloud:
        jobs = TuningJobs(cloud, SCRIPT)

        def tuned_s() -> float:
            searches.append(
                jobs.run(
                    num_trials=_NUM_TRIALS,
                    parallel=_PARALLEL,
                    strategy="Random",
                    ranges=_RANGES,
                )
            )
            return searches[-1].seconds

        bench.say("tuning jobs")
        found = alternate(
            bench.rounds(_ROUNDS),
            {"tuned": tuned_s, "hand": lambda: _by_hand_s(script, searches[0])},
        )
    return Result(
        rows=[
            Row(
                what=f"{_NUM_TRIALS} trials, {_PARALLEL} at a time",
                fogbank=Series("s", tuple(found["tuned"])),
                peer=Series("s", tuple(found["hand"])),
                peer_name="python hpo.py",
                judged="ratio",
            ),
            Row(
                what="… one turn of two trials",
                fogbank=Series("s", tuple(_a_turn(seconds) for seconds in found["tuned"])),
                peer=Series("s", tuple(_a_turn(seconds) for seconds in found["hand"])),
                peer_name="python hpo.py",
                judged="difference",
            ),
        ],
        notes=[
            "From CreateHyperParameterTuningJob to HyperParameterTuningEndTime. By hand: the same "
            "values, cores, threads, niceness and waiting "
            f"({searches[0].trials[0].facts}), a model in a folder each.",
            "Random, so that the trials are the same each time; trial_start has Bayesian's.",
        ],
    )


def _a_turn(seconds: float) -> float:
    """Trials that run side by side take one turn; so many follow each other."""
    return seconds * _PARALLEL / _NUM_TRIALS


def _by_hand_s(script: Path, search: Search) -> float:
    """What a person would type, with two terminals."""
    like: Mapping[str, Any] = search.trials[0].facts
    began = time.perf_counter()
    with ThreadPoolExecutor(_PARALLEL) as terminals:
        ran = terminals.map(
            lambda trial: _run(script, trial.name, trial.hyperparameters, like), search.trials
        )
        others = [facts for facts in ran if facts != like]
    if others:
        raise RuntimeError(f"not the same conditions: {others[0]}, and trials had {like}")
    return time.perf_counter() - began


def _run(
    script: Path, name: str, hyperparameters: Mapping[str, str], like: Mapping[str, Any]
) -> dict[str, Any]:
    model = script.parent / "models" / name
    model.mkdir(parents=True, exist_ok=True)
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[: like["cores"]]))
    done = subprocess.run(
        [
            *("nice", "-n", str(_NICE), "taskset", "--cpu-list", cores, sys.executable, script),
            *(part for key, value in hyperparameters.items() for part in (f"--{key}", value)),
        ],
        env={
            **os.environ,
            "SM_MODEL_DIR": str(model),
            "OMP_NUM_THREADS": str(like["threads"]),
            "OMP_WAIT_POLICY": str(like["waits"]),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=_LIMIT_S,
    )
    return facts_of(done.stdout.splitlines())
