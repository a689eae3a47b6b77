"""Pytest fixtures: put `pytest_plugins = ["fogbank.testing.plugin"]` in your conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fogbank.testing.cloud import RunningCloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """A running cloud with an empty folder; one for the whole test session."""
    running = RunningCloud(tmp_path_factory.mktemp("cloud")).start()
    yield running
    running.stop()
