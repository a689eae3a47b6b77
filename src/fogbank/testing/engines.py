"""What every engine promises: one suite for all of them.

    class TestMyEngine(EngineConformance):
        @pytest.fixture
        def stage(self) -> Stage: ...

Source of the promises: the docstrings of `fogbank.cloud.machines.engine`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from fogbank.cloud.machines.engine import (
    Attachment,
    Bind,
    Engine,
    EngineError,
    Instance,
    InstanceSpec,
    NetworkSpec,
    Share,
)

LIMIT_S = 20
LONG_S = 3600
"""Longer than any test: who waits for it was wrong to."""


class Stage(Protocol):
    """An engine, and how its programs are made to act. All act on what a test started itself."""

    @property
    def engine(self) -> Engine: ...

    @property
    def argv(self) -> tuple[str, ...]:
        """A program that prints `on` and lives until it is told otherwise, or SIGTERM ends it."""
        ...

    async def prints(self, instance: Instance, text: str) -> None:
        """Make the program print a line."""
        ...

    async def ends(self, instance: Instance, code: int) -> None:
        """Make the program end with that status."""
        ...


class EngineConformance:
    """Collect it by a subclass with a fixture `stage`. The engine starts with nothing running."""

    def spec(self, stage: Stage, folder: Path, output: Callable[[bytes], None]) -> InstanceSpec:
        """A small instance in `folder` (made)."""
        base = folder / "base"
        base.mkdir(parents=True)
        return InstanceSpec(
            name=f"conformance/{folder.name}",
            folder=folder,
            base=base,
            argv=stage.argv,
            env={},
            cwd=base,
            share=Share((0,), 1 << 30),
            address="127.77.7.7",
            output=output,
        )

    async def start(self, stage: Stage, folder: Path) -> tuple[Instance, bytearray]:
        """A running program, and what it prints."""
        output = bytearray()
        return await stage.engine.start(self.spec(stage, folder, output.extend)), output

    async def test_an_end_is_the_same_for_all_who_wait(self, stage: Stage, tmp_path: Path) -> None:
        instance, _ = await self.start(stage, tmp_path / "a")
        waits = [asyncio.ensure_future(instance.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        waits[0].cancel()
        await stage.ends(instance, 3)
        async with asyncio.timeout(LIMIT_S):
            ends = [await waits[1], await waits[2], await instance.wait()]
        assert [(end.code, end.signal, end.oom, end.ok) for end in ends] == [
            (3, None, False, False)
        ] * 3
        assert waits[0].cancelled()

    async def test_all_output_comes_before_the_end(self, stage: Stage, tmp_path: Path) -> None:
        instance, output = await self.start(stage, tmp_path / "a")
        for number in range(5):
            await stage.prints(instance, f"line {number}")
        await stage.ends(instance, 0)
        end = await instance.wait()
        assert output.decode().splitlines()[-5:] == [f"line {number}" for number in range(5)]
        assert end.ok
        assert end.last_words.endswith("line 4")

    async def test_kill(self, stage: Stage, tmp_path: Path) -> None:
        instance, _ = await self.start(stage, tmp_path / "a")
        assert (await instance.kill()).signal == signal.SIGKILL
        assert (await instance.kill()).signal == signal.SIGKILL
        assert (await instance.terminate(LONG_S)).signal == signal.SIGKILL

    async def test_terminate(self, stage: Stage, tmp_path: Path) -> None:
        instance, _ = await self.start(stage, tmp_path / "a")
        async with asyncio.timeout(LIMIT_S):
            assert (await instance.terminate(LONG_S)).signal == signal.SIGTERM
            assert (await instance.kill()).signal == signal.SIGTERM

    async def test_an_end_of_its_own_is_kept(self, stage: Stage, tmp_path: Path) -> None:
        instance, _ = await self.start(stage, tmp_path / "a")
        await stage.ends(instance, 0)
        await instance.wait()
        assert (await instance.kill()).ok
        assert (await instance.terminate(LONG_S)).ok

    async def test_usage_is_nothing_after_the_end(self, stage: Stage, tmp_path: Path) -> None:
        instance, _ = await self.start(stage, tmp_path / "a")
        usage = instance.usage()
        assert usage.num_processes >= 1
        await instance.kill()
        ended = instance.usage()
        assert (ended.cpu_s, ended.rss_bytes, ended.num_processes) == (0, 0, 0)
        assert ended.max_rss_bytes >= usage.max_rss_bytes

    async def test_a_frozen_instance_goes_on_when_thawed(
        self, stage: Stage, tmp_path: Path
    ) -> None:
        instance, output = await self.start(stage, tmp_path / "a")
        for _ in range(2):
            await instance.freeze()
            await instance.freeze()
            assert instance.usage().num_processes >= 1
            instance.thaw()
            instance.thaw()
        await stage.prints(instance, "awake")
        await stage.ends(instance, 0)
        assert (await instance.wait()).ok
        assert output.endswith(b"awake\n")
        await instance.freeze()
        instance.thaw()

    @pytest.mark.parametrize("how", ["kill", "terminate"])
    async def test_a_frozen_instance_can_be_ended(
        self, stage: Stage, tmp_path: Path, how: str
    ) -> None:
        instance, _ = await self.start(stage, tmp_path / "a")
        await instance.freeze()
        async with asyncio.timeout(LIMIT_S):
            if how == "kill":
                assert (await instance.kill()).signal == signal.SIGKILL
            else:
                assert (await instance.terminate(LONG_S)).signal == signal.SIGTERM

    async def test_stop_ends_all(self, stage: Stage, tmp_path: Path) -> None:
        instances = [(await self.start(stage, tmp_path / str(number)))[0] for number in range(3)]
        await instances[0].freeze()
        await stage.engine.stop()
        assert [(await one.wait()).signal for one in instances] == [signal.SIGKILL] * 3

    async def test_a_sweep_of_nothing_finds_nothing(self, stage: Stage, tmp_path: Path) -> None:
        assert await stage.engine.sweep(tmp_path) == []

    async def test_what_cannot_be_mounted_is_refused(self, stage: Stage, tmp_path: Path) -> None:
        spec = self.spec(stage, tmp_path / "a", bytearray().extend)
        bound = replace(spec, binds=(Bind(spec.base, Path("/opt/ml")),))
        if stage.engine.can_mount:
            assert (await (await stage.engine.start(bound)).kill()).signal == signal.SIGKILL
        else:
            with pytest.raises(EngineError, match=spec.name):
                await stage.engine.start(bound)

    async def test_networks(self, stage: Stage, tmp_path: Path) -> None:
        spec = NetworkSpec(
            name="conformance/net",
            folder=tmp_path,
            host_names=("algo-1", "algo-2"),
            cloud_url="http://127.0.0.1:4566",
            outside=True,
        )
        if not stage.engine.can_network:
            with pytest.raises(EngineError, match=spec.name):
                await stage.engine.open_network(spec)
            return
        network = await stage.engine.open_network(spec)
        closed = await stage.engine.open_network(replace(spec, cloud_url=None, outside=False))
        assert len(set(network.addresses)) == 2
        assert network.interface in ("eth0", "lo")
        assert "HTTPS_PROXY" in network.variables
        assert closed.variables == {}
        own = replace(
            self.spec(stage, tmp_path / "a", bytearray().extend),
            address=network.addresses[1],
            attachment=Attachment(network, 1),
        )
        assert (await (await stage.engine.start(own)).kill()).signal == signal.SIGKILL
        await network.close()
        await network.close()
        with pytest.raises(EngineError):
            await stage.engine.start(replace(own, name="late"))
