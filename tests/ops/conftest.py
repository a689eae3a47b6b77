"""A small project on the disk, and its blueprint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fogbank.core.arn import Scope
from fogbank.ops.blueprint import Blueprint
from fogbank.ops.spec_file import read_spec
from fogbank.ops.survey import survey
from fogbank.ops.tuned import read_tuned
from ops.fake_aws import write_project

ReadBlueprint = Callable[[], Blueprint]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


@pytest.fixture
def read_blueprint(project: Path) -> ReadBlueprint:
    """Reads the project as it is now."""

    def read() -> Blueprint:
        spec = read_spec(project / "fogbank.yaml")
        return Blueprint(spec, survey(spec, project), Scope(), read_tuned(project))

    return read
