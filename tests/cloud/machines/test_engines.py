"""Every engine keeps what `engine.Engine` promises."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cloud.machines.training_site import eventually
from fogbank.cloud.machines.engine import Exit, Instance
from fogbank.cloud.machines.fake import FakeEngine, FakeInstance
from fogbank.cloud.machines.process import ProcessEngine
from fogbank.testing.clock import ManualClock
from fogbank.testing.engines import EngineConformance, Stage

PROGRAM = """
echo on
while :; do
    if [ -e say ]; then mv say said; cat said; rm said; fi
    if [ -e end ]; then exit $(cat end); fi
    sleep 0.01
done
"""


class ProcessStage:
    """Programs that read orders from files of their working directory."""

    argv = ("/bin/sh", "-c", PROGRAM)

    def __init__(self, engine: ProcessEngine) -> None:
        self.engine = engine

    async def prints(self, instance: Instance, text: str) -> None:
        self._order(instance.spec.cwd / "say", text)
        async with asyncio.timeout(10):
            while (instance.spec.cwd / "say").exists() or (instance.spec.cwd / "said").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def ends(self, instance: Instance, code: int) -> None:
        self._order(instance.spec.cwd / "end", str(code))

    def _order(self, file: Path, text: str) -> None:
        file.with_suffix(".new").write_text(f"{text}\n")
        file.with_suffix(".new").rename(file)


class FakeStage:
    """Programs that a test plays."""

    argv = ("program",)

    def __init__(self, *, can_mount: bool, can_network: bool) -> None:
        self.engine = FakeEngine(ManualClock(), can_mount=can_mount, can_network=can_network)

    async def prints(self, instance: Instance, text: str) -> None:
        assert isinstance(instance, FakeInstance)
        instance.prints(f"{text}\n")

    async def ends(self, instance: Instance, code: int) -> None:
        assert isinstance(instance, FakeInstance)
        instance.ends(Exit(code=code))


class TestProcessEngine(EngineConformance):
    """`process` and `namespace`: real processes."""

    @pytest.fixture
    def stage(self, engine: ProcessEngine) -> Stage:
        return ProcessStage(engine)


class TestFakeEngine(EngineConformance):
    """With everything, and with nothing."""

    @pytest.fixture(params=[True, False])
    def stage(self, request: pytest.FixtureRequest) -> Stage:
        return FakeStage(can_mount=request.param, can_network=request.param)


async def test_a_frozen_program_does_nothing(engine: ProcessEngine, tmp_path: Path) -> None:
    stage = ProcessStage(engine)
    output = bytearray()
    spec = EngineConformance().spec(stage, tmp_path / "a", output.extend)
    instance = await engine.start(spec)
    await eventually(lambda: b"on" in output)
    await instance.freeze()
    (spec.cwd / "end").write_text("0")
    await asyncio.sleep(0.1)
    assert instance.usage().num_processes >= 1
    instance.thaw()
    assert (await instance.wait()).ok
