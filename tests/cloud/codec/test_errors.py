"""Errors as botocore's parsers read them, in every protocol."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from botocore.compat import HTTPHeaders
from botocore.parsers import create_parser

from cloud.codec.roundtrip import wire_request
from fogbank.cloud.codec.model import operation_model
from fogbank.cloud.codec.serialize import serialize_error
from fogbank.cloud.context import Request, Response, Target
from fogbank.cloud.errors import AccessDenied, ServiceError, ValidationException


def request(method: str = "POST", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return wire_request(method, "/", "", named, b"")


def read(response: Response, protocol: str, shape: Any = None) -> dict[str, Any]:
    parser: Any = create_parser(protocol)
    given = {
        "headers": HTTPHeaders.from_dict(response.headers),
        "status_code": response.status,
        "body": response.body,
    }
    parsed: dict[str, Any] = parser.parse(given, shape)
    return parsed


TARGETS = {
    "json": Target("sagemaker", "DescribeModel", "json"),
    "query": Target("iam", "GetRole", "query"),
    "ec2": Target("ec2", "DescribeInstances", "ec2"),
    "rest-json": Target("lambda", "Invoke", "rest-json"),
    "rest-xml": Target("s3", "GetObject", "rest-xml"),
    "smithy-rpc-v2-cbor": Target("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor"),
}


@pytest.mark.model
@pytest.mark.parametrize("status", [400, 403, 503])
@pytest.mark.parametrize("protocol", TARGETS)
def test_code_message_and_request_id_are_read(protocol: str, status: int) -> None:
    error = ServiceError("SomeCode", 'Words & <signs> "é" here', status=status)
    response = serialize_error(TARGETS[protocol], error, "id-1", request())
    parsed = read(response, protocol)
    assert response.status == status
    assert parsed["Error"]["Code"] == "SomeCode"
    assert parsed["Error"]["Message"] == 'Words & <signs> "é" here'
    assert parsed["ResponseMetadata"]["RequestId"] == "id-1"
    if protocol == "query":
        assert parsed["Error"]["Type"] == ("Sender" if status < 500 else "Receiver")


@pytest.mark.model
@pytest.mark.parametrize(
    ("target", "code", "fields", "status"),
    [
        (Target("iam", "GetRole", "query"), "NoSuchEntity", {}, 404),
        (Target("iam", "GetRole", "query"), "EntityAlreadyExists", {}, 409),
        (Target("sagemaker", "CreateModel", "json"), "ResourceLimitExceeded", {}, 400),
        (Target("lambda", "GetFunction", "rest-json"), "ResourceNotFoundException", {}, 404),
        (Target("s3", "GetObject", "rest-xml"), "NoSuchKey", {"Key": "a"}, 404),
        (
            Target("sagemaker-runtime", "InvokeEndpoint", "rest-json"),
            "ModelError",
            {"OriginalStatusCode": 500, "OriginalMessage": "boom", "LogStreamArn": "arn"},
            424,
        ),
    ],
)
def test_the_models_status_and_members(
    target: Target, code: str, fields: dict[str, Any], status: int
) -> None:
    response = serialize_error(target, ServiceError(code, "No", fields=fields), "id", request())
    assert response.status == status
    model = operation_model(target.service, target.operation)
    errors: Any = model.service_model.error_shapes
    shapes = {shape.error_code: shape for shape in errors}
    shape = shapes[code]
    parsed = read(response, target.protocol, shape)
    spelt = [name for name in shape.members if name.lower() == "message"]
    if spelt and target.protocol != "query":  # there the element is Message, whatever the model
        assert parsed[spelt[0]] == "No"
    for name, value in fields.items():
        if name in shape.members:
            assert parsed[name] == value


@pytest.mark.model
def test_a_status_given_specially_stays() -> None:
    error = ServiceError("NoSuchEntity", "No", status=410)
    assert serialize_error(TARGETS["query"], error, "id", request()).status == 410


@pytest.mark.model
@pytest.mark.parametrize("protocol", ["json", "smithy-rpc-v2-cbor"])
@pytest.mark.parametrize("code", ["ResourceNotFound", "DashboardNotFoundError"])
def test_cloudwatch_gives_the_codes_of_its_query_days(protocol: str, code: str) -> None:
    target = Target("cloudwatch", "GetDashboard", protocol)
    response = serialize_error(target, ServiceError(code, "No"), "id", request())
    assert response.headers["x-amzn-query-error"] == "ResourceNotFound;Sender"
    parsed = read(response, protocol)
    assert parsed["Error"]["Code"] == "ResourceNotFound"
    assert parsed["Error"]["QueryErrorCode"] in ("DashboardNotFoundError", "ResourceNotFound")
    query = serialize_error(
        Target("cloudwatch", "GetDashboard", "query"), ServiceError(code, "No"), "id", request()
    )
    assert read(query, "query")["Error"]["Code"] == "ResourceNotFound"


@pytest.mark.docs
def test_s3_names_what_it_is_about() -> None:
    error = ServiceError("NoSuchBucket", "No", fields={"BucketName": "b", "Resource": "/b"})
    response = serialize_error(TARGETS["rest-xml"], error, "id-1", request())
    assert isinstance(response.body, bytes)
    root = ElementTree.fromstring(response.body)
    found = {child.tag: child.text for child in root}
    assert root.tag == "Error"
    assert found["BucketName"] == "b"
    assert found["RequestId"] == "id-1" == response.headers["x-amz-request-id"]
    assert found["HostId"] == response.headers["x-amz-id-2"]
    assert response.status == 404


@pytest.mark.docs
@pytest.mark.parametrize(("method", "status"), [("HEAD", 404), ("GET", 304)])
def test_head_and_304_have_no_body(method: str, status: int) -> None:
    error = ServiceError("X", "No", status=status, headers={"ETag": '"a"'})
    response = serialize_error(TARGETS["rest-xml"], error, "id", request(method))
    assert (response.status, response.body) == (status, b"")
    assert "content-length" not in response.headers
    assert response.headers["etag"] == '"a"'


SCOPE = "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/{}/aws4_request, Signature=0"


@pytest.mark.parametrize(
    ("headers", "protocol"),
    [
        ({"x_amz_target": "Nobody.Knows"}, "json"),
        ({"smithy_protocol": "rpc-v2-cbor"}, "smithy-rpc-v2-cbor"),
        ({"content_type": "application/x-www-form-urlencoded"}, "query"),
        ({"authorization": SCOPE.format("ec2")}, "ec2"),
        ({"authorization": SCOPE.format("lambda")}, "rest-json"),
        ({"authorization": SCOPE.format("s3")}, "rest-xml"),
        ({}, "rest-xml"),
    ],
)
def test_an_unidentified_request_gets_an_error_it_can_read(
    headers: dict[str, str], protocol: str
) -> None:
    error = AccessDenied("No", code="Code")
    parsed = read(serialize_error(None, error, "id-1", request(**headers)), protocol)
    assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == ("Code", "No")
    assert parsed["ResponseMetadata"]["RequestId"] == "id-1"


@pytest.mark.observed
def test_lambda_says_whose_fault_it_is() -> None:
    response = serialize_error(
        Target("lambda", "GetFunction", "rest-json"),
        ServiceError("ResourceNotFoundException", "Function not found: x"),
        "id",
        request(),
    )
    assert response.body == b'{"Message":"Function not found: x","Type":"User"}'
    assert response.headers["x-amzn-errortype"] == "ResourceNotFoundException"


@pytest.mark.observed
def test_validation_reads_as_from_sagemaker() -> None:
    response = serialize_error(TARGETS["json"], ValidationException("1 error"), "id", request())
    assert response.body == b'{"__type":"ValidationException","message":"1 error"}'
    assert response.headers["content-type"] == "application/x-amz-json-1.1"
