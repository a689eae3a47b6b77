"""What identifies a model, and how often is looked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fogbank.cloud.machines.engine import InstanceSpec, Share
from fogbank.cloud.machines.fake import FakeEngine
from fogbank.cloud.machines.process_group import LOOK_S, GroupWatch, identities
from fogbank.cloud.machines.training_output import Tree
from fogbank.testing.clock import ManualClock


@pytest.fixture
def models(tmp_path: Path) -> list[Tree]:
    for host in ("algo-1", "algo-2"):
        model = tmp_path / host / "ml" / "model"
        (model / "deep").mkdir(parents=True)
        (model / "deep" / "model.pth").write_bytes(b"weights" * 1000)
        (model / "card.json").write_text(f"trained on {host}")
    return [(tmp_path / host, ("ml", "model")) for host in ("algo-1", "algo-2")]


def model(tree: Tree) -> Path:
    return tree[0].joinpath(*tree[1])


def test_models_of_the_same_weights_are_the_same(models: list[Tree]) -> None:
    one, two = identities(models)
    assert one == two
    assert one is not None


def test_other_weights_of_the_same_size_are_another_model(models: list[Tree]) -> None:
    (model(models[1]) / "deep" / "model.pth").write_bytes(b"WEIGHTS" * 1000)
    one, two = identities(models)
    assert one != two


def test_another_size_is_another_model_and_nothing_is_no_model(models: list[Tree]) -> None:
    (model(models[1]) / "deep" / "model.pth").write_bytes(b"w")
    one, two = identities(models)
    assert one == "7000 bytes"
    assert two == "17 bytes"
    for path in (model(models[1]) / "card.json", model(models[1]) / "deep" / "model.pth"):
        path.unlink()
    assert identities(models) == ("7000 bytes", None)


def test_a_link_to_another_model_is_not_followed(models: list[Tree], tmp_path: Path) -> None:
    folder = model(models[1])
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(model(models[0]))
    assert identities(models)[1] is None


class Links:
    """Says what a test wants, and remembers what it was asked."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[list[int], int]] = []

    def __call__(self, pids: Sequence[int], ignored_port: int) -> bool:
        self.asked.append((list(pids), ignored_port))
        return self.answers.pop(0) if self.answers else False


async def watched(links: Links, num_looks: int, models: list[Tree]) -> tuple[GroupWatch, bool]:
    """A watch over two instances after that many looks, and whether it has ended by itself."""
    clock = ManualClock(datetime(2026, 11, 21, 12, tzinfo=UTC))
    engine = FakeEngine(clock)
    instances = [await engine.start(_spec(tree[0])) for tree in models]
    watch = GroupWatch(clock, links, 7777)
    task = asyncio.create_task(watch.run(instances))
    for number in range(num_looks):
        await clock.advance(LOOK_S * 1.1**number)
        async with asyncio.timeout(10):  # until it ends or sleeps again
            while not (task.done() or clock.num_sleepers):  # noqa: ASYNC110 - threads tell nobody
                await asyncio.sleep(0.001)
    ended = task.done()
    task.cancel()
    await asyncio.wait({task})
    return watch, ended


def _spec(folder: Path) -> InstanceSpec:
    return InstanceSpec(
        name=folder.name,
        folder=folder,
        base=folder / "ml",
        argv=("train",),
        env={},
        cwd=folder,
        share=Share((0,), 1 << 30),
        address="127.0.0.1",
        output=lambda _: None,
    )


async def test_looks_until_there_is_a_connection(models: list[Tree]) -> None:
    links = Links(False, True)
    watch, ended = await watched(links, 2, models)
    assert ended
    assert links.asked == [([1, 2], 7777)] * 2
    evidence = await watch.evidence(models, [])
    assert (evidence.connected, evidence.num_looks) == (True, 2)


async def test_without_a_connection_the_models_are_compared(models: list[Tree]) -> None:
    watch, ended = await watched(Links(), 3, models)
    assert not ended
    evidence = await watch.evidence(models, [])
    assert (evidence.connected, evidence.num_looks) == (False, 3)
    assert evidence.models[0] == evidence.models[1] is not None


async def test_without_models_the_checkpoints_are_compared(models: list[Tree]) -> None:
    watch, _ = await watched(Links(), 3, models)
    empty = [(trusted, (*below, "absent")) for trusted, below in models]
    evidence = await watch.evidence(empty, models)
    assert evidence.models == (None, None)
    assert evidence.checkpoints[0] == evidence.checkpoints[1] is not None
