"""Log lines -> metric values: a table, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloud.aws import refused
from fogbank.cloud.rules.metric_definitions import MAX_LINE_CHARS, compile_definitions, values

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "cases" / "metric_definitions.json").read_text()
)


@pytest.mark.docs
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_values_of_a_line(case: dict[str, Any]) -> None:
    definitions = compile_definitions([{"Name": "m", "Regex": case["regex"]}])
    assert list(values(definitions, case["line"])) == [("m", value) for value in case["values"]]


@pytest.mark.docs
def test_several_definitions_read_the_same_line() -> None:
    definitions = compile_definitions(
        [{"Name": "loss", "Regex": "loss (\\S+)"}, {"Name": "acc", "Regex": "acc (\\S+)"}]
    )
    assert list(values(definitions, "acc 0.5 loss 2")) == [("loss", 2.0), ("acc", 0.5)]


@pytest.mark.parametrize("pattern", ["loss: (", "a{99999999999}", "(?P<1>x)", "*"])
def test_a_regex_that_does_not_compile_is_refused_by_name(pattern: str) -> None:
    with refused("ValidationException", 400, "train:loss"):
        compile_definitions([{"Name": "train:loss", "Regex": pattern}])


def test_a_name_given_twice_is_refused() -> None:
    with refused("ValidationException", 400, "acc is repeated"):
        compile_definitions([{"Name": "acc", "Regex": "a"}, {"Name": "acc", "Regex": "b"}])


def test_only_the_head_of_a_long_line_is_searched() -> None:
    definitions = compile_definitions([{"Name": "m", "Regex": "m=(\\d)"}])
    assert list(values(definitions, "x" * (MAX_LINE_CHARS - 3) + "m=1")) == [("m", 1.0)]
    assert list(values(definitions, "x" * (MAX_LINE_CHARS - 2) + "m=1")) == []
