"""`capacity.yaml`: what one instance was measured to sustain, kept in the project.

Comes in: a measurement, or the file. Goes out: the file. It is the person's to read, commit and
delete; measure again after the model, its code or the instance type has changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from fogbank.ops.spec_file import read_yaml
from fogbank.ops.spec_section import Section

FILE_NAME = "capacity.yaml"

_HEAD = """\
# What `fogbank scale measure` found one instance to sustain: `endpoint.scaling.target: auto` is
# half of it, a minute. Measured on this machine: measure on AWS before you rely on it there.
"""


class Capacity(Section):
    """The file's contents."""

    max_requests_per_s: Annotated[float, Field(gt=0)]
    """The highest rate at which the latency limit was kept and nothing failed."""
    latency_limit_ms: Annotated[float, Field(gt=0)]
    """For the 90th percentile."""
    p90_ms: Annotated[float, Field(gt=0)]
    """At that rate."""
    instance_type: str


def read_capacity(folder: Path) -> Capacity | None:
    """None where nothing was measured. Raises InputError for a file that is wrong."""
    try:
        return read_yaml(folder / FILE_NAME, Capacity)
    except FileNotFoundError:
        return None


def write_capacity(folder: Path, capacity: Capacity) -> Path:
    path = folder / FILE_NAME
    path.write_text(_HEAD + yaml.safe_dump(capacity.model_dump(), sort_keys=False))
    return path
