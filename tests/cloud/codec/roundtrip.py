"""Round trips between botocore's own serializers and parsers and the codec.

    roundtrip_input   params -> botocore's serializer -> identify, parse, validate -> params
    roundtrip_output  result -> serialize -> botocore's parser -> result

Both raise AssertionError naming the operation. For a conformance table over what is implemented.
"""

from __future__ import annotations

import copy
import io
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.compat import HTTPHeaders
from botocore.model import OperationModel, StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from cloud.codec.samples import sample
from fogbank.cloud.codec.identify import Identifier
from fogbank.cloud.codec.model import service_model, signing_name
from fogbank.cloud.codec.parse import parse
from fogbank.cloud.codec.serialize import serialize
from fogbank.cloud.codec.validate import validate_input
from fogbank.cloud.context import BodyStream, Headers, Request, Response, Target

SERVICES = (
    "sagemaker",
    "sagemaker-runtime",
    "sts",
    "iam",
    "logs",
    "cloudwatch",
    "s3",
    "lambda",
    "application-autoscaling",
    "service-quotas",
    "ec2",
)
ENDPOINT = "http://127.0.0.1:4566"

__all__ = [
    "ENDPOINT",
    "SERVICES",
    "client_request",
    "client_response",
    "identifier",
    "roundtrip_input",
    "roundtrip_output",
    "sample",
    "stream",
]


@cache
def identifier() -> Identifier:
    return Identifier(SERVICES)


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def wire_request(
    method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> Request:
    items = tuple((name.lower(), value) for name, value in headers.items())
    return Request(method, path, query, Headers(items), lambda: stream(body), body)


def text_headers(headers: Any) -> dict[str, str]:
    """botocore's headers, whose values are str or bytes."""
    return {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in headers.items()
    }


def client_request(
    service: str, operation: str, params: Mapping[str, Any], *, protocol: str | None = None
) -> Request:
    """The request that botocore sends, signed in name only (a credential scope, no signature)."""
    model = service_model(service).operation_model(operation)
    serializer = create_serializer(protocol or protocols_sent(service))
    prepared = serializer.serialize_to_request(copy.deepcopy(dict(params)), model)
    prepare_request_dict(prepared, endpoint_url=ENDPOINT)
    request = create_request_object(prepared).prepare()
    url = urlsplit(request.url)
    headers = text_headers(request.headers)
    scope = f"AKIDEXAMPLE/20260102/us-east-1/{signing_name(service)}/aws4_request"
    headers["host"] = url.netloc
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    )
    body = request.body or b""
    content = body.encode() if isinstance(body, str) else bytes(body)
    return wire_request(request.method, url.path, url.query, headers, content)


def protocols_sent(service: str) -> str:
    """The protocol that this botocore chooses for a service."""
    chosen: str = service_model(service).resolved_protocol
    return chosen


def client_response(
    model: OperationModel, response: Response, protocol: str, body: bytes
) -> dict[str, Any]:
    """What botocore's parser makes of a response."""
    headers = HTTPHeaders.from_dict(response.headers)
    streaming = model.has_streaming_output
    given = {
        "headers": headers,
        "status_code": response.status,
        "body": io.BytesIO(body) if streaming and response.status < 300 else body,
        "context": {"operation_name": model.name},
    }
    parser: Any = create_parser(protocol)
    parsed: dict[str, Any] = parser.parse(given, model.output_shape)
    if streaming and model.output_shape is not None:
        name = model.output_shape.serialization["payload"]
        if hasattr(parsed.get(name), "read"):
            parsed[name] = parsed[name].read()
    return parsed


def roundtrip_input(
    service: str, operation: str, params: Mapping[str, Any], *, protocol: str | None = None
) -> None:
    """botocore's request for `params` is identified, parsed back to `params`, and valid."""
    wire = protocol or protocols_sent(service)
    request = client_request(service, operation, params, protocol=wire)
    target = identifier().identify(request)
    from_head, streams = identifier().from_head(request)
    assert from_head in (None, target), "the head alone says something else"
    assert (target.service, target.operation) == (service, operation), f"identified as {target}"
    assert target.protocol == wire
    body: BodyStream | None = None
    if streams:
        body = request.receive()
    found = parse(target, request, body)
    validate_input(target, found)
    expected = dict(params)
    shape = service_model(service).operation_model(operation).input_shape
    payload = shape.serialization.get("payload", "") if shape is not None else ""
    if body is not None:
        assert found.pop(payload) is body, "the stream is not what was given"
        expected.pop(payload, None)
    if "ContentLength" not in expected:
        found.pop("ContentLength", None)  # a header that every request with a body has
    if payload not in expected and found.get(payload) == {}:
        del found[payload]  # botocore sends {} where REST-JSON has no payload
    assert found == expected, f"{service}.{operation}: {found} != {expected}"


def roundtrip_output(
    service: str, operation: str, result: Mapping[str, Any], *, protocol: str | None = None
) -> None:
    """botocore reads `result` back from what the codec writes."""
    wire = protocol or protocols_sent(service)
    model = service_model(service).operation_model(operation)
    response = serialize(Target(service, operation, wire), result, "request-id-1")
    assert isinstance(response.body, bytes)
    parsed = client_response(model, response, wire, response.body)
    metadata = parsed.pop("ResponseMetadata", {})
    expected = dict(result)
    for name in parsed.keys() - expected.keys():
        if _made_up(model, name, parsed[name]):
            del parsed[name]
    if model.output_shape is not None or wire in ("query", "ec2"):
        assert metadata["RequestId"] == "request-id-1", f"{service}.{operation}: no request id"
    assert parsed == expected, f"{service}.{operation}: {parsed} != {expected}"


def _made_up(model: OperationModel, name: str, value: Any) -> bool:
    """Whether botocore gives that member though the result had none: payload, status, length."""
    shape = model.output_shape
    if not isinstance(shape, StructureShape):
        return False
    location = shape.members[name].serialization.get("location")
    if location == "statusCode" or (location == "headers" and not value):
        return True
    if name == "ContentLength" and value == 0:
        return True
    return name == shape.serialization.get("payload") and value in ({}, b"", "")
