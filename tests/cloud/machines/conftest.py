"""Engines for tests of the machines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud.machines.training_site import TrainingSite, strategy_of
from fogbank.cloud.machines.choice import find_namespaces
from fogbank.cloud.machines.process import Namespaces, ProcessEngine
from fogbank.core.clock import SystemClock


@pytest.fixture(scope="session")
def namespaces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Namespaces | None, str]:
    """What this host has, and why not more."""
    folder = tmp_path_factory.mktemp("namespaces")
    return asyncio.run(find_namespaces(SystemClock(), folder))


@pytest.fixture(params=["process", "namespace"])
async def engine(
    request: pytest.FixtureRequest, namespaces: tuple[Namespaces | None, str]
) -> AsyncIterator[ProcessEngine]:
    """Real processes, with and without namespaces of their own."""
    found, why = namespaces
    if request.param == "namespace" and found is None:
        pytest.skip(f"this host cannot enclose instances: {why}")
    engine = ProcessEngine(
        SystemClock(), os.environ, found if request.param == "namespace" else None
    )
    yield engine
    await engine.stop()


@pytest.fixture
async def training(engine: ProcessEngine, tmp_path: Path) -> AsyncIterator[TrainingSite]:
    """A running cloud whose training jobs are real processes."""
    site = TrainingSite(tmp_path, engine, SystemClock(), strategy_of(engine))
    await site.jobs.start()
    yield site
    await site.jobs.stop()
