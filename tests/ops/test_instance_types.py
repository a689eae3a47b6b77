"""Instance types, as botocore's model of SageMaker has them."""

from __future__ import annotations

import pytest

from fogbank.ops.instance_types import hosting_type, training_type


@pytest.mark.model
def test_some_types_serve_and_do_not_train() -> None:
    assert hosting_type("ml.inf1.xlarge") == "ml.inf1.xlarge"
    with pytest.raises(ValueError, match="no instance type that SageMaker has for training"):
        training_type("ml.inf1.xlarge")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ml.g4dn.xlage", "did you mean 'ml.g4dn.xlarge'"),
        ("c5.xlarge", "did you mean 'ml.c5.xlarge'"),
        ("gpu", "one is 'ml.m5.xlarge'"),
        ("", "one is 'ml.m5.xlarge'"),
    ],
)
def test_a_wrong_one_is_answered_with_one_that_exists(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        training_type(name)
