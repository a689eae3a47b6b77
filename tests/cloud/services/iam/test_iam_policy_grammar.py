from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloud.aws import refused
from fogbank.cloud.services.iam.policy_grammar import check_policy, counted_size

CASES = json.loads(
    (Path(__file__).parents[3] / "cases" / "iam" / "policy_grammar.json").read_text()
)


@pytest.mark.docs
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_grammar(case: dict[str, Any]) -> None:
    document = case["text"] if "text" in case else json.dumps(case["policy"])
    if case.get("ok"):
        check_policy(document, case["use"])
        return
    with refused("MalformedPolicyDocument", 400, case["words"]):
        check_policy(document, case["use"])


@pytest.mark.docs
def test_white_space_does_not_count() -> None:
    assert counted_size('{ "a":\n\t"b c" }') == len('{"a":"bc"}')
