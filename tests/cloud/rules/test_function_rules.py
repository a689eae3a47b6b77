"""Laws of functions: routing by weight, concurrency that adds up, policies of URLs."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.records.function import Alias
from fogbank.cloud.rules import function_settings as rules
from fogbank.cloud.rules.function_policy import anybody_may_call_url, conditions, principal
from fogbank.cloud.rules.function_routing import version_of_alias


def alias(**weights: float) -> Alias:
    return Alias(
        function="dogs",
        name="live",
        arn="",
        version="1",
        weights={key[1:]: value for key, value in weights.items()},
        revision_id="",
    )


@pytest.mark.docs
@given(weight=st.floats(0, 1), draw=st.floats(0, 1, exclude_max=True))
def test_the_second_version_takes_its_share(weight: float, draw: float) -> None:
    assert version_of_alias(alias(_2=weight), draw) == ("2" if draw < weight else "1")


@pytest.mark.docs
def test_one_call_in_ten_goes_to_a_canary() -> None:
    draws = [number / 1000 for number in range(1000)]
    taken = [version_of_alias(alias(_2=0.1), draw) for draw in draws]
    assert taken.count("2") == 100
    assert {version_of_alias(alias(), draw) for draw in draws} == {"1"}


@pytest.mark.docs
@given(
    reserved=st.integers(0, 2000),
    provisioned=st.integers(0, 2000),
    others=st.integers(0, 2000),
    limit=st.integers(1, 2000),
)
def test_a_reservation_leaves_the_minimum(
    reserved: int, provisioned: int, others: int, limit: int
) -> None:
    possible = reserved >= provisioned and limit - others - reserved >= min(100, limit)
    with nullcontext() if possible else pytest.raises(ServiceError, match="InvalidParameterValue"):
        rules.check_reserved(reserved, provisioned, others_committed=others, account_limit=limit)


@pytest.mark.docs
@given(
    provisioned=st.integers(1, 2000),
    reserved=st.none() | st.integers(0, 2000),
    others=st.integers(0, 2000),
)
def test_provisioned_fits_into_reserved_or_into_the_account(
    provisioned: int, reserved: int | None, others: int
) -> None:
    possible = 1000 - others - provisioned >= 100 if reserved is None else provisioned <= reserved
    with nullcontext() if possible else pytest.raises(ServiceError, match="InvalidParameterValue"):
        rules.check_provisioned(provisioned, reserved, others_committed=others, account_limit=1000)


@pytest.mark.docs
def test_code_and_layers_have_one_limit() -> None:
    rules.check_unzipped(262_144_000, 0)  # the zip alone was checked when it came
    rules.check_unzipped(200_000_000, 62_144_000)
    with pytest.raises(ServiceError, match="The actual size is 262144001 bytes"):
        rules.check_unzipped(200_000_000, 62_144_001)


@pytest.mark.observed
@pytest.mark.parametrize(
    ("text", "element"),
    [
        ("*", "*"),
        ("s3.amazonaws.com", {"Service": "s3.amazonaws.com"}),
        ("123456789012", {"AWS": "arn:aws:iam::123456789012:root"}),
        ("arn:aws:iam::123456789012:role/a/b", {"AWS": "arn:aws:iam::123456789012:role/a/b"}),
        ("invalid.nonaws.com", None),
        ("1234", None),
        ("arn:aws:s3:::dogs", None),
    ],
)
def test_a_principal_is_a_service_an_account_or_an_identity(text: str, element: Any) -> None:
    assert principal(text) == element


URL = {"Principal": "*", "Action": "lambda:InvokeFunctionUrl"}
CALL = {"Principal": "*", "Action": "lambda:InvokeFunction"}
NONE = {"Condition": conditions({"FunctionUrlAuthType": "NONE"})}
VIA = {"Condition": conditions({"InvokedViaFunctionUrl": True})}


@pytest.mark.docs
@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([], False),
        ([{**URL, **NONE}], False),
        ([{**CALL, **VIA}], False),
        ([{**URL, **NONE}, {**CALL, **VIA}], True),
        ([URL, CALL], True),
        ([{"Principal": "*", "Action": "lambda:*"}], True),
        ([{"Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "*"}], False),
        ([{**URL, "Condition": conditions({"FunctionUrlAuthType": "AWS_IAM"})}, CALL], False),
        ([{**URL, "Condition": conditions({"SourceAccount": "123456789012"})}, CALL], False),
        ([URL, {**CALL, "Condition": conditions({"InvokedViaFunctionUrl": False})}], False),
    ],
)
def test_a_public_url_needs_both_permissions(
    statements: list[dict[str, Any]], allowed: bool
) -> None:
    decision = anybody_may_call_url(statements)
    assert decision.allowed is allowed
    assert decision.reason
