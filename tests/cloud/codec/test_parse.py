"""What a request's bytes mean, and what is said of those that mean nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.codec.roundtrip import client_request, identifier, roundtrip_output, wire_request
from fogbank.cloud.codec import timestamps
from fogbank.cloud.codec.parse import parse
from fogbank.cloud.context import Target
from fogbank.cloud.errors import ServiceError

JOB = Target("sagemaker", "CreateTrainingJob", "json")
METRICS = Target("cloudwatch", "PutMetricData", "json")


def read(target: Target, body: bytes, query: str = "", **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse(target, wire_request("POST", "/", query, named, body), None)


def refusal(target: Target, body: bytes, query: str = "") -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        read(target, body, query)
    return caught.value


@pytest.mark.observed
@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"TrainingJobName": 1}, "NUMBER_VALUE can not be converted to a String"),
        ({"TrainingJobName": {}}, "Start of structure or map found where not expected."),
        ({"TrainingJobName": []}, "Start of list found where not expected"),
        ({"ResourceConfig": "x"}, "Unexpected value type in payload"),
        ({"HyperParameters": "x"}, "Unexpected value type in payload"),
        ({"HyperParameters": {"a": True}}, "TRUE_VALUE can not be converted to a String"),
        ({"Tags": "x"}, "STRING_VALUE can not be converted to a List"),
        ({"EnableNetworkIsolation": "true"}, "STRING_VALUE can not be converted to a Boolean"),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 1.5}},
            "DECIMAL_VALUE can not be converted to an Integer",
        ),
        ([], "Start of list found where not expected"),
    ],
)
def test_wrong_json_types(document: Any, words: str) -> None:
    error = refusal(JOB, json.dumps(document).encode())
    assert (error.code, error.status, error.message) == ("SerializationException", 400, words)


@pytest.mark.parametrize("body", [b"{", b"\xff", b'"x"', b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_no_json(body: bytes) -> None:
    assert refusal(JOB, body).code == "SerializationException"


def test_unknown_members_and_nulls_are_left_out() -> None:
    body: dict[str, Any] = {
        "TrainingJobName": "a",
        "Nonsense": {"x": [1]},
        "RoleArn": None,
        "Tags": [],
    }
    assert read(JOB, json.dumps(body).encode()) == {"TrainingJobName": "a", "Tags": []}


def test_an_empty_body_is_an_empty_document() -> None:
    assert read(Target("sagemaker", "ListModels", "json"), b"") == {}


@pytest.mark.model
@pytest.mark.parametrize("value", [1767225600, 1767225600.0, "2026-01-01T00:00:00Z", "1767225600"])
def test_json_moments(value: Any) -> None:
    body = {
        "Namespace": "n",
        "MetricData": [{"MetricName": "m", "Timestamp": value, "Value": "NaN"}],
    }
    found = read(METRICS, json.dumps(body).encode())["MetricData"][0]
    assert found["Timestamp"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert found["Timestamp"].tzinfo is UTC
    assert found["Value"] != found["Value"]  # NaN


@pytest.mark.parametrize("value", [1e300, "yesterday", True, {}])
def test_what_is_no_moment(value: Any) -> None:
    body = {"MetricData": [{"Timestamp": value}]}
    assert refusal(METRICS, json.dumps(body).encode()).code == "SerializationException"


@pytest.mark.model
def test_cbor_has_moments_and_blobs_of_its_own() -> None:
    target = Target("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor")
    moment = datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    data = [{"MetricName": "m", "Timestamp": cbor2.CBORTag(1, 1767225600.5), "Value": 1.5}]
    found = read(target, cbor2.dumps({"Namespace": "n", "MetricData": data}))
    assert found["MetricData"] == [{"MetricName": "m", "Timestamp": moment, "Value": 1.5}]
    assert refusal(target, b"\xff\x00").code == "SerializationException"
    assert refusal(target, b"\x81" * 10_000).code == "SerializationException"


@pytest.mark.model
def test_forms() -> None:
    target = Target("iam", "CreateRole", "query")
    body = b"Action=CreateRole&RoleName=a+b%2B&Tags.member.2.Key=y&Tags.member.2.Value=&"
    body += b"Tags.member.1.Key=x&Tags.member.1.Value=1&MaxSessionDuration=3600&Nonsense.1=2&..=3"
    assert read(target, body) == {
        "RoleName": "a b+",
        "Tags": [{"Key": "x", "Value": "1"}, {"Key": "y", "Value": ""}],
        "MaxSessionDuration": 3600,
    }
    assert read(target, b"Tags=") == {"Tags": []}


@pytest.mark.parametrize("value", ["x", "", "9" * 5000, "1.5"])
def test_a_form_value_of_another_type(value: str) -> None:
    body = f"MaxSessionDuration={value}".encode()
    assert refusal(Target("iam", "CreateRole", "query"), body).code == "MalformedInput"
    error = refusal(Target("ec2", "DescribeInstances", "ec2"), f"MaxResults={value}".encode())
    assert error.code == "InvalidParameterValue"


def test_an_absurd_list_index_is_no_index() -> None:
    body = f"InstanceId.{'9' * 6000}=i-1&InstanceId.1=i-2&InstanceId.x=i-3".encode()
    assert read(Target("ec2", "DescribeInstances", "ec2"), body) == {"InstanceIds": ["i-2"]}


DELETE = Target("s3", "DeleteObjects", "rest-xml", {"Bucket": "b"})


@pytest.mark.docs
def test_xml_with_and_without_a_namespace() -> None:
    for xmlns in ("", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'):
        body = f"<Delete{xmlns}><Object><Key>a&#13;</Key></Object><Quiet>true</Quiet></Delete>"
        assert read(DELETE, body.encode()) == {
            "Bucket": "b",
            "Delete": {"Objects": [{"Key": "a\r"}], "Quiet": True},
        }


@pytest.mark.docs
@pytest.mark.parametrize(
    "body",
    [
        b"<Delete>",
        b"not xml",
        b"<Delete><Quiet>perhaps</Quiet></Delete>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE x><Delete/>'.encode("utf-16"),
        "<!DOCTYPE x><Delete/>".encode("utf-16-le"),
        "<!DOCTYPE x><Delete/>".encode("utf-16-be"),
    ],
)
def test_what_is_no_xml(body: bytes) -> None:
    assert refusal(DELETE, body).code == "MalformedXML"


@pytest.mark.docs
def test_s3_parameters_of_another_type() -> None:
    error = refusal(Target("s3", "ListObjectsV2", "rest-xml", {"Bucket": "b"}), b"", "max-keys=x")
    assert error.code == "InvalidArgument"
    assert error.message == "Provided max-keys not an integer or within integer range"
    assert error.fields == {"ArgumentName": "max-keys", "ArgumentValue": "x"}


@pytest.mark.docs
def test_s3_headers() -> None:
    target = Target("s3", "PutObject", "rest-xml", {"Bucket": "b", "Key": "k"})
    found = read(
        target,
        b"x",
        content_encoding="aws-chunked, gzip",
        content_length="99",
        x_amz_decoded_content_length="1",
        expires="whenever",
        x_amz_meta_colour="blue",
        x_amz_server_side_encryption_bucket_key_enabled="true",
        x_amz_object_lock_retain_until_date="2026-01-01T00:00:00Z",
    )
    assert found == {
        "Bucket": "b",
        "Key": "k",
        "Body": b"x",
        "ContentEncoding": "gzip",
        "ContentLength": 1,
        "Expires": "whenever",
        "Metadata": {"colour": "blue"},
        "BucketKeyEnabled": True,
        "ObjectLockRetainUntilDate": datetime(2026, 1, 1, tzinfo=UTC),
    }
    assert "ContentEncoding" not in read(target, b"", content_encoding="aws-chunked")


@pytest.mark.docs
def test_an_invalid_conditional_date_is_ignored() -> None:
    target = Target("s3", "GetObject", "rest-xml", {"Bucket": "b", "Key": "k"})
    good = "Thu, 01 Jan 2026 00:00:00 GMT"
    found = read(target, b"", if_modified_since=good, if_unmodified_since="yesterday")
    assert found["IfModifiedSince"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert "IfUnmodifiedSince" not in found


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=20)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
MOMENTS = st.integers(0, 7_258_118_400_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
FLOATS = st.floats(allow_nan=False)


@given(
    names=st.lists(NAMES, min_size=1, max_size=3),
    value=FLOATS,
    moment=MOMENTS,
    protocol=st.sampled_from(["json", "query", "smithy-rpc-v2-cbor"]),
)
def test_what_botocore_writes_is_read_back(
    names: list[str], value: float, moment: datetime, protocol: str
) -> None:
    datum = {"MetricName": names[0], "Value": value, "Timestamp": moment, "Values": [value]}
    params = {"Namespace": names[-1], "MetricData": [datum] * len(names)}
    sent = client_request("cloudwatch", "PutMetricData", params, protocol=protocol)
    assert parse(identifier().identify(sent), sent, None) == params


@given(
    # botocore's JSON parser leaves "Infinity" a string, and sends it as one.
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    moments=st.lists(MOMENTS, max_size=3),
    text=TEXT,
    protocol=st.sampled_from(["json", "query", "smithy-rpc-v2-cbor"]),
)
def test_what_the_codec_writes_is_read_back(
    values: list[float], moments: list[datetime], text: str, protocol: str
) -> None:
    result = {"Id": text, "Timestamps": moments, "Values": values, "StatusCode": "Complete"}
    roundtrip_output(
        "cloudwatch", "GetMetricData", {"MetricDataResults": [result]}, protocol=protocol
    )


@given(key=TEXT, size=st.integers(0, 2**62), moment=MOMENTS)
def test_s3_listings_are_read_back(key: str, size: int, moment: datetime) -> None:
    contents = [{"Key": key, "Size": size, "LastModified": moment, "ETag": '"a&<b>"'}]
    roundtrip_output("s3", "ListObjectsV2", {"Contents": contents, "KeyCount": 1, "Prefix": key})


@given(moment=MOMENTS, form=st.sampled_from(["iso8601", "unixTimestamp"]))
def test_moments_are_kept_to_the_millisecond(moment: datetime, form: str) -> None:
    assert timestamps.read(timestamps.write(moment, form), form) == moment
    elsewhere = moment.astimezone(timezone(timedelta(hours=-8)))
    assert timestamps.write(elsewhere, form) == timestamps.write(moment, form)


@given(body=st.binary(max_size=200), target=st.sampled_from([
    JOB,
    DELETE,
    Target("iam", "CreateRole", "query"),
    Target("ec2", "RunInstances", "ec2"),
    Target("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor"),
    Target("lambda", "CreateFunction", "rest-json"),
]))  # fmt: skip
def test_noise_is_refused_and_never_crashes(body: bytes, target: Target) -> None:
    try:
        read(target, body)
    except ServiceError as error:
        refused = error
        assert refused.status == 400
