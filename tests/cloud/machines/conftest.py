"""Engines for tests of the machines."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud.machines.training_site import TrainingSite, strategy_of
from fogbank.cloud.machines.process import ProcessEngine, mounts_work
from fogbank.core.clock import SystemClock


@pytest.fixture(params=["plain", "enclosed"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProcessEngine]:
    """Real processes, with and without namespaces of their own."""
    enclosed = request.param == "enclosed"
    if enclosed:
        works, why = await mounts_work(SystemClock(), tmp_path)
        if not works:
            pytest.skip(f"this host cannot enclose instances: {why}")
    engine = ProcessEngine(SystemClock(), os.environ, can_mount=enclosed)
    yield engine
    await engine.stop()


@pytest.fixture
async def training(engine: ProcessEngine, tmp_path: Path) -> AsyncIterator[TrainingSite]:
    """A running cloud whose training jobs are real processes."""
    site = TrainingSite(tmp_path, engine, SystemClock(), strategy_of(engine))
    await site.jobs.start()
    yield site
    await site.jobs.stop()
