"""Sites for tests of functions."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cloud.machines.functions.function_site import FunctionSite
from fogbank.cloud.machines.process import Namespaces, ProcessEngine
from fogbank.core.clock import SystemClock


@asynccontextmanager
async def running(folder: Path, engine: ProcessEngine) -> AsyncIterator[FunctionSite]:
    site = FunctionSite(folder / "home", SystemClock(), engine)
    await site.start()
    yield site
    await site.stop()
    assert site.folders == [], "an environment leaves nothing behind"
    assert site.site.shares.num_leases == 0


@pytest.fixture
async def functions(
    namespaces: tuple[Namespaces | None, str], tmp_path: Path
) -> AsyncIterator[FunctionSite]:
    """Running functions whose environments are real processes, on the best engine there is."""
    engine = ProcessEngine(SystemClock(), os.environ, namespaces[0])
    async with running(tmp_path, engine) as site:
        yield site


@pytest.fixture
async def each(engine: ProcessEngine, tmp_path: Path) -> AsyncIterator[FunctionSite]:
    """The same on every engine: for what depends on mounts."""
    async with running(tmp_path, engine) as site:
        yield site
