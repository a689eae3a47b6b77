"""AWS's validation errors, word for word."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.codec.roundtrip import SERVICES, sample
from fogbank.cloud.codec.constraints import printed, violations
from fogbank.cloud.codec.model import operation_model, service_model
from fogbank.cloud.codec.patterns import compiled
from fogbank.cloud.codec.validate import validate, validate_input
from fogbank.cloud.context import Target
from fogbank.cloud.errors import ServiceError

CASES = Path(__file__).parents[2] / "cases" / "codec" / "validation.json"


def cases() -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in json.loads(CASES.read_text())]


def input_shape(service: str, operation: str) -> Any:
    return operation_model(service, operation).input_shape


@pytest.mark.observed
@pytest.mark.parametrize("case", cases())
def test_the_words(case: dict[str, Any]) -> None:
    service, operation = case["operation"].split(".")
    params = sample(input_shape(service, operation)) | case["params"]
    params = {name: value for name, value in params.items() if value is not None}
    with pytest.raises(ServiceError) as caught:
        validate_input(Target(service, operation, "json"), params)
    assert caught.value.code == case["code"]
    assert caught.value.message == case["message"]


def test_valid_input_is_left_alone() -> None:
    for operation in ("CreateTrainingJob", "CreateEndpointConfig", "ListTags"):
        shape = input_shape("sagemaker", operation)
        validate(shape, sample(shape))
        validate(shape, sample(shape, full=True))
        validate(shape, sample(shape) | {"Nonsense": 1})
    validate(None, {})


def test_all_violations_come_in_one_message() -> None:
    with pytest.raises(ServiceError) as caught:
        validate(input_shape("sagemaker", "CreateTrainingJob"), {"TrainingJobName": "-"})
    assert caught.value.message.startswith("3 validation errors detected: Value '-' at ")
    assert caught.value.message.count("; Value null at '") == 2


@pytest.mark.docs
def test_s3_looks_at_documents_and_little_else() -> None:
    def refusal(operation: str, params: dict[str, Any]) -> str:
        with pytest.raises(ServiceError) as caught:
            validate_input(Target("s3", operation, "rest-xml"), params)
        return caught.value.code

    bucket = {"Bucket": "B_?"}
    validate_input(Target("s3", "CreateBucket", "rest-xml"), bucket)
    body = {"CreateBucketConfiguration": {"LocationConstraint": "mars-1"}}
    validate_input(Target("s3", "CreateBucket", "rest-xml"), bucket | body)
    versioning = {"VersioningConfiguration": {"Status": "Perhaps"}}
    assert refusal("PutBucketVersioning", bucket | versioning) == "MalformedXML"
    assert refusal("PutBucketVersioning", bucket) == "MissingRequestBodyError"
    assert refusal("DeleteObjects", bucket | {"Delete": {}}) == "MalformedXML"
    assert refusal("PutBucketAnalyticsConfiguration", bucket) == "InvalidArgument"


@pytest.mark.model
@pytest.mark.parametrize("service", SERVICES)
def test_every_pattern_compiles(service: str) -> None:
    model = service_model(service)
    patterns = {model.shape_for(name).metadata.get("pattern") for name in model.shape_names}
    for pattern in patterns - {None}:
        assert isinstance(compiled(pattern), re.Pattern)


@pytest.mark.docs
@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "Ünï cödé ٣", "a#"),
        (r"([\p{L}\p{Z}\p{N}_.:\/=+\-@]*)${1,256}", "a b", "a\tb"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a\t😀", "a\x01"),
        (r"\A\S[\p{Print}]*\z", "a b", "a\n"),
        (r"\p{ASCII}*", "a~", "é"),
        (r"[\w-_]*", "a-b_c", "é"),
        (r"arn:[\p{Alnum}\-]+:x", "arn:aws-cn:x", "arn:a_b:x"),
        (r"[[a]+", "[a", "b"),
        (r"(?<name>a)+", "aa", "b"),
    ],
)
def test_javas_patterns(pattern: str, good: str, bad: str) -> None:
    assert compiled(pattern).fullmatch(good)
    assert not compiled(pattern).fullmatch(bad)


def test_an_unknown_property_is_said_to_be_unknown() -> None:
    with pytest.raises(ValueError, match="Nonsense"):
        compiled(r"\p{Nonsense}")


def test_over_long_values_are_not_matched() -> None:
    shape = input_shape("sagemaker", "DescribeTrainingJob")
    found = violations(shape, {"TrainingJobName": "-" * 1_000_000})
    assert [violation.kind for violation in found] == ["length"]


def test_secrets_are_not_repeated() -> None:
    shape = input_shape("iam", "CreateLoginProfile")
    found = violations(shape, {"UserName": "u", "Password": "hunter2\0" * 20})
    assert found
    assert "hunter2" not in str(found)
    assert found[0].sentence.startswith("Value at 'password' failed")


def test_values_are_printed_as_java_does() -> None:
    assert printed({"a": [True, 1.5, "x"], "b": b"12"}) == "{a=[true, 1.5, x], b=(2 bytes)}"


@given(name=st.text(max_size=80))
def test_a_name_is_refused_exactly_when_it_breaks_the_model(name: str) -> None:
    shape = input_shape("sagemaker", "DescribeTrainingJob")
    good = re.fullmatch("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name) and 1 <= len(name) <= 63
    assert bool(violations(shape, {"TrainingJobName": name})) is not bool(good)
