"""The conformance table: all that is implemented goes through botocore's wire and is documented."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from cloud.codec.roundtrip import roundtrip_input, roundtrip_output, sample
from fogbank.cloud.codec.model import service_model

REPOSITORY = Path(__file__).resolve().parents[2]
EXCEPTIONS = json.loads(
    (REPOSITORY / "tests" / "cases" / "codec" / "roundtrip_exceptions.json").read_text()
)


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    home = tmp_path_factory.mktemp("home")
    found: dict[str, list[str]] = asyncio.run(_script("write_operations").implemented(home))
    return found


@pytest.mark.model
def test_every_implemented_operation_goes_through_botocores_wire_and_back(
    operations: dict[str, list[str]],
) -> None:
    done = 0
    for service, names in operations.items():
        for name in names:
            model = service_model(service).operation_model(name)
            for full in (False, True):
                for direction, shape, roundtrip in (
                    ("input", model.input_shape, roundtrip_input),
                    ("output", model.output_shape, roundtrip_output),
                ):
                    if f"{service}.{name}.{direction}" in EXCEPTIONS:
                        continue
                    roundtrip(service, name, sample(shape, full=full) if shape else {})
                    done += 1
    assert done > 700


def test_the_reference_lists_exactly_what_is_implemented(
    operations: dict[str, list[str]],
) -> None:
    script = _script("write_operations")
    assert script.PAGE.read_text() == script.page(operations), (
        "run scripts/write_operations.py: docs/reference/operations.md is out of date"
    )
