"""Whether a requirements.txt needs pip at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from fogbank.images.requirements import is_satisfied

CASES = json.loads((Path(__file__).parents[1] / "cases/images/requirements.json").read_text())
INSTALLED = {"pillow": "11.1.0", "torch": "2.6.0+cpu", "prerelease": "2.0rc1"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["text"]))
def test_what_needs_no_pip(case: Any) -> None:
    assert is_satisfied(case["text"], lambda name: INSTALLED.get(name.lower())) == case["satisfied"]


releases = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(
    lambda parts: ".".join(map(str, parts))
)
clauses = st.tuples(st.sampled_from(["==", "!=", ">=", "<=", ">", "<", "~="]), releases).filter(
    lambda clause: clause[0] != "~=" or "." in clause[1]
)


@given(releases, st.lists(clauses, max_size=3))
def test_versions_are_compared_as_packaging_does(
    version: str, wanted: list[tuple[str, str]]
) -> None:
    text = ",".join(op + bound for op, bound in wanted)
    expected = SpecifierSet(text).contains(version)
    assert is_satisfied(f"some-package {text}", lambda _: version) == expected
