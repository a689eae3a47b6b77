"""Two processes that train one model: the same model as one process, and only one that writes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fogbank.vision.contract import JobFolders
from fogbank.vision.errors import SettingError
from fogbank.vision.train.config import TrainingConfig
from fogbank.vision.train.ranks import Ranks, joined
from fogbank.vision.train.run import run
from vision.pictures import pictures_in

PROGRAM = Path(__file__).with_name("rank_job.py")
LIMIT_S = 120

TUNED = TrainingConfig(
    epochs=3,
    image_size=32,
    batch_size=8,
    lr=1e-4,
    fine_tune=True,
    fine_tune_epochs=2,
    fine_tune_lr=1e-4,
    patience=0,
)
LOSS_TOLERANCE = 2e-4
"""Of losses, nats. The ranks sum the same gradients in another order: after 10 steps of the whole
network the difference was 2e-7 to 8e-6 where this was written. Log lines have four decimals."""


def folders_in(parent: Path) -> JobFolders:
    """33 pictures to train on, so that the last of 5 batches has one picture for two ranks."""
    make_pictures = pictures_in(parent)
    make_pictures("pool/train", each=11)
    make_pictures("pool/valid", each=3)
    make_pictures("pool/test", each=1, colours=("red",))
    return JobFolders(
        model=parent / "model",
        output_data=parent / "output",
        checkpoints=None,
        channels={"training": parent / "pool"},
        num_hosts=1,
    )


@pytest.fixture
def folders(tmp_path: Path) -> JobFolders:
    return folders_in(tmp_path)


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A pair that has trained the same pictures to the end."""
    folder = tmp_path_factory.mktemp("through")
    pair = Pair(folder / "pair", folders_in(folder).channels["training"])
    pair.run(TUNED)
    assert pair.exit_codes == [0, 0], pair.logs
    return pair


class Pair:
    """Two ranks, each with folders of its own, as two instances have them."""

    def __init__(self, folder: Path, channel: Path) -> None:
        self.folder = folder
        self.channel = channel
        self.exit_codes: list[int] = []
        self.results: list[dict[str, Any]] = []
        self.logs: list[list[str]] = []

    def run(
        self, config: TrainingConfig, *, die_at: str | None = None, checkpoints: bool = False
    ) -> None:
        with socket.socket() as holder:  # nobody else gets it; torch reuses it
            holder.bind(("", 0))
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._run(config, holder.getsockname()[1], die_at, checkpoints)

    def _run(
        self, config: TrainingConfig, port: int, die_at: str | None, checkpoints: bool
    ) -> None:
        processes = []
        for rank in range(2):
            own = self.own(rank)
            own.mkdir(parents=True, exist_ok=True)
            job = {
                "config": {name: v for name, v in config.to_json().items() if v is not None},
                "channel": str(self.channel),
                "model": str(own / "model"),
                "output": str(own / "output"),
                "checkpoints": str(own / "checkpoints") if checkpoints else None,
                "die_at": die_at,
            }
            (own / "job.json").write_text(json.dumps(job))
            ranks = {"RANK": rank, "LOCAL_RANK": 0, "WORLD_SIZE": 2, "MASTER_PORT": port}
            environ = {
                **os.environ,
                **{name: str(value) for name, value in ranks.items()},
                "MASTER_ADDR": "127.0.0.1",
                "GLOO_SOCKET_IFNAME": "lo",
                "OMP_NUM_THREADS": "1",
            }
            processes.append(
                subprocess.Popen(
                    [sys.executable, str(PROGRAM), str(own / "job.json")],
                    env=environ,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        ended = [process.communicate(timeout=LIMIT_S) for process in processes]
        self.exit_codes = [process.returncode for process in processes]
        self.results = [json.loads(out) for out, _ in ended if out]
        self.logs = [err.splitlines() for _, err in ended]

    def own(self, rank: int) -> Path:
        return self.folder / f"algo-{rank + 1}"

    def weights(self) -> dict[str, torch.Tensor]:
        return load_file(self.own(0) / "model" / "model.safetensors")


def assert_alike(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.slow
def test_two_ranks_train_the_model_that_one_trains(folders: JobFolders, through: Pair) -> None:
    lines: list[str] = []
    alone, pair = run(TUNED, folders, lines.append), through
    for result in pair.results:
        for name, value in alone.metrics.items():
            assert result["metrics"][name] == pytest.approx(value, abs=LOSS_TOLERANCE), name
    assert_alike(load_file(folders.model / "model.safetensors"), pair.weights())

    assert any("chosen_epoch=5" in line for line in pair.logs[0]), "an epoch of fine-tuning"

    epochs = [[line for line in log if line.startswith("epoch=")] for log in pair.logs]
    assert len(epochs[0]) == len([line for line in lines if line.startswith("epoch=")]) == 5
    for one, two in zip(
        (line for line in lines if line.startswith("epoch=")), epochs[0], strict=True
    ):
        assert _numbers(two) == pytest.approx(_numbers(one), abs=LOSS_TOLERANCE)
    assert "2 processes train one model" in pair.logs[0][0]
    assert (pair.own(0) / "output" / "evaluation.json").is_file()
    assert not (pair.own(1) / "model").exists()
    assert not (pair.own(1) / "output").exists()


def _numbers(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"=([0-9.]+)", line)]


@pytest.mark.slow
def test_a_pair_that_was_killed_goes_on_from_the_first_ranks_checkpoint(
    folders: JobFolders, through: Pair, tmp_path: Path
) -> None:
    pair = Pair(tmp_path / "pair", folders.channels["training"])
    pair.run(TUNED, checkpoints=True, die_at="epoch=5 ")  # epoch 4 is the last one that is kept
    assert pair.exit_codes[0] == 9
    assert pair.exit_codes[1] not in (0, 9), "a rank without its peer must not go on"
    assert not (pair.own(1) / "checkpoints").exists()
    # What the second instance has is older; the first one's counts.
    (pair.own(1) / "checkpoints").mkdir()
    shutil.copy(pair.own(0) / "checkpoints" / "head.safetensors", pair.own(1) / "checkpoints")
    pair.run(TUNED, checkpoints=True)
    assert pair.exit_codes == [0, 0], pair.logs
    assert "resumed head from its checkpoint after epoch 3" in pair.logs[0]
    assert "resumed fine-tune from its checkpoint after epoch 4" in pair.logs[0]
    assert sum(line.startswith("epoch=") for line in pair.logs[0]) == 1
    for before, after in zip(through.results, pair.results, strict=True):
        assert after["metrics"] == pytest.approx(before["metrics"], abs=1e-6)


@pytest.mark.slow
def test_both_ranks_refuse_the_same_data(folders: JobFolders, tmp_path: Path) -> None:
    """Each finds one broken picture, which would be allowed; together they are too many."""
    channel = folders.channels["training"]
    for name in ("000.png", "001.png", "002.png"):
        (channel / "train" / "red" / name).write_text("Dear Sir or Madam")
    pair = Pair(tmp_path / "pair", channel)
    pair.run(TUNED)
    assert pair.exit_codes == [1, 1], pair.logs
    errors = [[line for line in log if line.startswith("error: ")] for log in pair.logs]
    assert errors[0] == errors[1]
    assert "3 pictures cannot be read" in errors[0][0]
    # Beside it, a network of which a part has no gradients.
    some = replace(TUNED, max_broken=0.1, epochs=1, fine_tune_epochs=1, features="multilevel")
    pair.run(some)
    assert pair.exit_codes == [0, 0], pair.logs
    report = json.loads((pair.own(0) / "output" / "evaluation.json").read_text())
    assert sorted(report["broken"]) == ["red/000.png", "red/001.png", "red/002.png"]


def test_shares_are_disjoint_and_whole() -> None:
    order = [5, 3, 8, 1, 9]
    shares = [Ranks(rank, 3).share(order) for rank in range(3)]
    assert shares == [[5, 1], [3, 9], [8]]
    assert Ranks().share(order) == order
    assert Ranks(2, 3).share([7]) == []


def test_alone_everything_stays_as_it_is() -> None:
    ranks = Ranks()
    module = torch.nn.Linear(2, 2)
    assert ranks.data_parallel(module, some_unused=False) is module
    assert ranks.same({"a": 1}) == {"a": 1}
    assert ranks.same_bytes(b"x") == b"x"
    assert ranks.gather([1]) == [[1]]
    assert ranks.total(0.1, 2) == [0.1, 2]


@pytest.mark.parametrize("environ", [{}, {"WORLD_SIZE": "1", "RANK": "0"}])
def test_without_torchrun_there_is_one_rank(environ: dict[str, str]) -> None:
    with joined(environ) as ranks:
        assert ranks.is_alone
        assert ranks.is_first


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"WORLD_SIZE": "2", "RANK": "0"}, "LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two', not a whole number"),
    ],
)
def test_half_an_environment_is_refused(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError, match=message), joined(environ):
        pass
