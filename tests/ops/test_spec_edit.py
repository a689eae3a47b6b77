"""fogbank.yaml changed in place: what is not meant stays as it was written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fogbank.core.errors import InputError
from fogbank.ops.spec_edit import with_values

SECTION = ("endpoint", "scaling")

WRITTEN = """\
# ours
project: dogs   # the breed ones

endpoint:
  # served from here
  entry_point: inference.py
  scaling:        # by day
    min: 1        # one is enough
    target: 120

# the last word
"""


def test_a_value_is_replaced_and_its_comment_stays() -> None:
    changed = with_values(WRITTEN, SECTION, {"min": 2})
    assert changed == WRITTEN.replace("min: 1 ", "min: 2 ")


def test_a_new_value_becomes_the_sections_first() -> None:
    changed = with_values(WRITTEN, SECTION, {"max": 5, "metric": "cpu"})
    assert changed == WRITTEN.replace("    min: 1", "    max: 5\n    metric: cpu\n    min: 1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("project: dogs\n", "project: dogs\n\nendpoint:\n  scaling:\n    max: 5\n"),
        ("project: dogs", "project: dogs\n\nendpoint:\n  scaling:\n    max: 5\n"),
        (
            "endpoint:\n    instance_type: ml.c5.large # fast\nproject: dogs\n",
            "endpoint:\n    scaling:\n      max: 5\n    instance_type: ml.c5.large # fast\n"
            "project: dogs\n",
        ),
        (
            "project: dogs\nendpoint: {scaling: {min: 2}}\n",
            "project: dogs\nendpoint: {scaling: {max: 5, min: 2}}\n",
        ),
        ("project: dogs\nendpoint: {}\n", "project: dogs\nendpoint: {scaling: {max: 5}}\n"),
        (
            "project: dogs\nendpoint:\n  scaling:\ntrain: {}\n",
            "project: dogs\nendpoint:\n  scaling: {max: 5}\ntrain: {}\n",
        ),
        ("{project: dogs}", "{endpoint: {scaling: {max: 5}}, project: dogs}"),
    ],
    ids=["none", "no newline", "other indent", "flow", "empty flow", "nothing", "all flow"],
)
def test_the_section_is_made_where_it_is_missing(text: str, expected: str) -> None:
    assert with_values(text, SECTION, {"max": 5}) == expected


def test_what_cannot_be_changed_is_left_alone_and_said() -> None:
    text = "project: dogs\nendpoint:\n  scaling: &wide {max: 5}\n  other: *wide\n"
    with pytest.raises(InputError, match=r"endpoint:\n  scaling:\n    max: 6"):
        with_values(text, SECTION, {"max": 6})


VALUES = st.dictionaries(
    st.sampled_from(["min", "max", "target", "metric"]),
    st.one_of(st.integers(1, 100), st.floats(0.5, 1e6), st.sampled_from(["auto", "cpu", "no"])),
    min_size=1,
)


@given(VALUES, VALUES, st.booleans())
def test_exactly_the_values_change(
    before: dict[str, Any], values: dict[str, Any], flow: bool
) -> None:
    document = {"project": "dogs", "endpoint": {"scaling": before}, "train": {"a": [1, 2]}}
    text = yaml.safe_dump(document, default_flow_style=flow)
    document["endpoint"] = {"scaling": {**before, **values}}
    assert yaml.safe_load(with_values(text, SECTION, values)) == document
