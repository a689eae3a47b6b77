from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.core.arn import Arn, Scope
from fogbank.core.errors import InputError

PART = st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True)


@given(PART, st.sampled_from(["", "us-east-1"]), st.text(min_size=1, max_size=20))
def test_parsing_is_the_inverse_of_printing(service: str, region: str, resource: str) -> None:
    text = f"arn:aws:{service}:{region}:123456789012:{resource}"
    assert str(Arn.parse(text)) == text
    assert Arn.parse(text).resource == resource


@pytest.mark.parametrize("text", ["", "dogs", "arn:aws:s3", "urn:aws:s3:::b:c", "arn:aws::r:a:x"])
def test_what_is_not_an_arn_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match="not an ARN"):
        Arn.parse(text)


def test_a_scope_builds_regional_and_global_arns() -> None:
    scope = Scope("111122223333", "eu-west-1")
    job = scope.arn("sagemaker", "training-job/dogs")
    assert job == "arn:aws:sagemaker:eu-west-1:111122223333:training-job/dogs"
    assert scope.global_arn("iam", "role/train") == "arn:aws:iam::111122223333:role/train"
