"""Which service, operation and protocol a request is for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.codec.roundtrip import SERVICES, identifier, stream, wire_request
from fogbank.cloud.codec.identify import Identifier
from fogbank.cloud.codec.model import service_model
from fogbank.cloud.context import Headers, Request
from fogbank.cloud.errors import ServiceError

CASES = Path(__file__).parents[2] / "cases" / "codec" / "identify.json"
SCOPE = "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/{}/aws4_request, Signature=0"


def request(case: dict[str, Any]) -> Request:
    path, _, query = case["url"].partition("?")
    headers = dict(case.get("headers", {}))
    if "scope" in case:
        headers["authorization"] = SCOPE.format(case["scope"])
    headers.setdefault("host", case.get("host", "127.0.0.1:4566"))
    body = case.get("body", "").encode()
    return wire_request(case.get("method", "GET"), path, query, headers, body)


def cases(kind: str) -> list[Any]:
    table = json.loads(CASES.read_text())[kind]
    return [pytest.param(case, id=case["name"]) for case in table]


@pytest.mark.docs
@pytest.mark.parametrize("case", cases("found"))
def test_the_target(case: dict[str, Any]) -> None:
    target = identifier().identify(request(case))
    assert [target.service, target.operation, target.protocol] == case["target"]
    assert dict(target.path_params) == case.get("labels", {})


@pytest.mark.docs
@pytest.mark.parametrize("case", cases("refused"))
def test_what_is_not_known(case: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as caught:
        identifier().identify(request(case))
    assert [caught.value.code, caught.value.status] == case["error"]


@pytest.mark.parametrize("case", cases("found"))
def test_only_streams_do_without_the_whole_body(case: dict[str, Any]) -> None:
    streamed = case["target"][1] in ("PutObject", "UploadPart", "InvokeAsync")
    target, streams = identifier().from_head(request(case))
    assert streams is streamed
    assert target in (None, identifier().identify(request(case)))


def test_a_service_that_the_cloud_does_not_have_is_unknown() -> None:
    small = Identifier(("sts", "s3"))
    headers = Headers((("x-amz-target", "SageMaker.ListModels"),))
    sent = Request("POST", "/", "", headers, lambda: stream(), b"{}")
    with pytest.raises(ServiceError, match="UnknownOperationException"):
        small.identify(sent)


def test_target_prefixes_name_one_service_each() -> None:
    prefixes = [service_model(name).metadata.get("targetPrefix") for name in SERVICES]
    given_ones = [prefix for prefix in prefixes if prefix]
    assert len(set(given_ones)) == len(given_ones) == 5


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"]),
    path=st.text(st.characters(codec="ascii"), max_size=40),
    query=st.text(st.characters(codec="ascii"), max_size=60),
    host=st.text(st.characters(codec="ascii"), max_size=30),
)
def test_any_request_is_identified_or_refused(
    method: str, path: str, query: str, host: str
) -> None:
    sent = wire_request(method, "/" + path, query, {"host": host}, b"")
    from_head, _ = identifier().from_head(sent)
    try:
        target = identifier().identify(sent)
    except ServiceError as error:
        refused = error
        assert refused.status < 500
        assert from_head is None
    else:
        assert target.service in SERVICES
        assert from_head in (None, target)


@given(key=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_an_object_key_may_be_anything(key: str) -> None:
    from botocore.utils import percent_encode

    path = "/bucket/" + percent_encode(key, safe="/~")
    target = identifier().identify(wire_request("GET", path, "", {"host": "localhost"}, b""))
    assert (target.operation, target.path_params["Key"]) == ("GetObject", key)
