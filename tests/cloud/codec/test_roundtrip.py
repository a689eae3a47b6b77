"""Every operation of every service here, both ways, against botocore's own client side."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from botocore.model import OperationModel

from cloud.codec.roundtrip import SERVICES, roundtrip_input, roundtrip_output, sample
from fogbank.cloud.codec.model import service_model

CASES = Path(__file__).parents[2] / "cases" / "codec" / "roundtrip_exceptions.json"


@cache
def exceptions() -> dict[str, str]:
    """`service.Operation.input|output` -> why it cannot make the round trip."""
    found: dict[str, str] = json.loads(CASES.read_text())
    return found


def operations(service: str) -> list[OperationModel]:
    model = service_model(service)
    return [model.operation_model(name) for name in model.operation_names]


def fails(service: str, operation: OperationModel, way: str, protocol: str | None = None) -> bool:
    shape = operation.input_shape if way == "input" else operation.output_shape
    trip = roundtrip_input if way == "input" else roundtrip_output
    try:
        for full in (False, True):
            params = sample(shape, full=full) if shape is not None else {}
            trip(service, operation.name, params, protocol=protocol)
    except Exception as error:
        error.add_note(f"{service}.{operation.name}.{way}")
        if f"{service}.{operation.name}.{way}" not in exceptions():
            raise
        return True
    return False


@pytest.mark.model
@pytest.mark.parametrize("way", ["input", "output"])
@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_makes_the_round_trip(service: str, way: str) -> None:
    failed = {f"{service}.{op.name}.{way}" for op in operations(service) if fails(service, op, way)}
    listed = {
        name for name in exceptions() if name.startswith(f"{service}.") and name.endswith(way)
    }
    assert failed == listed, "an exception is listed that now passes"


@pytest.mark.model
@pytest.mark.parametrize("way", ["input", "output"])
@pytest.mark.parametrize("protocol", ["json", "query", "smithy-rpc-v2-cbor"])
def test_cloudwatch_speaks_three_protocols(protocol: str, way: str) -> None:
    for operation in operations("cloudwatch"):
        assert not fails("cloudwatch", operation, way, protocol)


def test_a_sample_that_breaks_the_model_is_noticed() -> None:
    shape = service_model("sts").operation_model("AssumeRole").input_shape
    assert shape is not None
    params = sample(shape, full=True)
    roundtrip_input("sts", "AssumeRole", params)
    with pytest.raises(Exception, match="DurationSeconds"):
        roundtrip_input("sts", "AssumeRole", params | {"DurationSeconds": 1})
