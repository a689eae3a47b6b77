"""Signatures made by botocore verify; any change of what they cover is refused."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.codec.roundtrip import wire_request
from cloud.codec.signing import ACCESS_KEY, SECRET_KEY, signed, with_header
from fogbank.cloud.codec.sigv4 import Signature, read_signature, verify
from fogbank.cloud.context import Request
from fogbank.cloud.errors import ServiceError

JSON = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def read(request: Request) -> Signature:
    signature = read_signature(request)
    assert signature is not None
    return signature


def moment(signature: Signature) -> datetime:
    """A moment at which the signature is good: a SigV2 URL knows only when it ends."""
    return signature.date - timedelta(seconds=1) if signature.version == 2 else signature.date


def check(request: Request, secret_key: str = SECRET_KEY) -> None:
    signature = read(request)
    verify(signature, secret_key, request, moment(signature))


def refusal(request: Request, secret_key: str = SECRET_KEY) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        check(request, secret_key)
    return caught.value


@pytest.mark.docs
@pytest.mark.parametrize("token", [None, "session/token+with=odd chars"])
@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [
        ("header", "POST", "/"),
        ("header", "GET", "/2015-03-31/functions/a%3Ab/../c//d"),
        ("query", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15"),
        ("s3-header", "PUT", "/bucket/a/b%20c%2B%C3%A9//x/../y~%281%29"),
        ("s3-header", "GET", "/bucket?list-type=2&prefix=a%20b%2Bc&delimiter=%2F&uploads"),
        ("s3-query", "GET", "/bucket/a%20key?versionId=x%2By"),
        ("s3-v2", "GET", "/bucket/a%20key"),
        ("s3-v2", "PUT", "/bucket/key?partNumber=1&uploadId=a%2Bb"),
    ],
)
def test_botocores_signatures_verify(kind: str, method: str, path: str, token: str | None) -> None:
    request = signed(kind, method, path, token=token, body=b"{}" if method == "POST" else b"")
    signature = read(request)
    assert signature.access_key == ACCESS_KEY
    assert signature.session_token == token
    assert signature.presigned == ("Authorization" not in str(request.headers).title())
    check(request)
    assert refusal(request, "another secret").code in (
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    )


def test_parameters_with_spaces_travel_as_plus_and_are_signed_as_percent_20() -> None:
    request = signed("s3-header", "GET", "/bucket", params={"prefix": "a b+c", "delimiter": "/"})
    assert "a+b%2Bc" in request.raw_query
    check(request)


def test_a_virtual_host_url_of_version_2_signs_the_bucket() -> None:
    path_style = signed("s3-v2", "GET", "/bucket/key")
    hosted = with_header(replace(path_style, raw_path="/key"), "host", "bucket.localhost:4566")
    check(hosted)
    # The same resource string, but another bucket and key: not what was signed.
    moved = with_header(path_style, "host", "bucket.localhost:4566")
    assert refusal(moved).code == "SignatureDoesNotMatch"


@pytest.mark.docs
@pytest.mark.parametrize("addition", ["&acl", "&ownershipControls", "&retention", "&x=1"])
def test_version_2_signs_every_sub_resource(addition: str) -> None:
    request = signed("s3-v2", "GET", "/bucket/key")
    assert refusal(replace(request, raw_query=request.raw_query + addition)).code == (
        "SignatureDoesNotMatch"
    )


@pytest.mark.parametrize("kind", ["header", "s3-header", "s3-query", "s3-v2"])
@pytest.mark.parametrize("part", ["method", "path", "query", "body", "header", "signature"])
def test_what_is_signed_cannot_be_changed(kind: str, part: str) -> None:
    request = signed(kind, "PUT", "/bucket/key?acl", body=b"content", headers={"x-amz-meta-a": "1"})
    check(request)
    unsigned_body = part == "body" and kind in ("s3-query", "s3-v2")
    if part == "method":
        request = replace(request, method="DELETE")
    elif part == "path":
        request = replace(request, raw_path="/bucket/kez")
    elif part == "query":
        request = replace(request, raw_query="tagging&" + request.raw_query)
    elif part == "body":
        request = replace(request, body=b"contend")
    elif part == "header":
        request = with_header(request, "x-amz-meta-a", "2")
    else:
        request = _with_other_signature(request)
    if unsigned_body:
        check(request)
    else:
        assert refusal(request).status in (400, 403)


def _with_other_signature(request: Request) -> Request:
    authorization = request.headers.get("authorization")
    if authorization:
        flipped = "0" if authorization[-1] != "0" else "1"
        return with_header(request, "authorization", authorization[:-1] + flipped)
    query = request.raw_query.replace("Signature=", "Signature=0", 1)
    return replace(request, raw_query=query)


@pytest.mark.docs
def test_s3_wants_every_amz_header_signed() -> None:
    request = with_header(signed("s3-header", "PUT", "/b/k"), "x-amz-acl", "public-read")
    error = refusal(request)
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert error.fields["HeadersNotSigned"] == "x-amz-acl"


@pytest.mark.docs
@pytest.mark.parametrize(
    ("kind", "headers", "code", "status"),
    [
        ("header", JSON, "InvalidSignatureException", 400),
        ("header", {}, "InvalidSignatureException", 403),
        ("header", FORM, "SignatureDoesNotMatch", 403),
        ("s3-header", {}, "SignatureDoesNotMatch", 403),
    ],
)
def test_each_family_has_its_own_code(
    kind: str, headers: dict[str, str], code: str, status: int
) -> None:
    error = refusal(signed(kind, "POST", "/", headers=headers, body=b"x"), "another secret")
    assert (error.code, error.status) == (code, status)
    assert error.message.startswith("The request signature we calculated does not match")
    if kind == "s3-header":
        assert error.fields["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
        assert SECRET_KEY not in str(error.fields)


@pytest.mark.docs
@pytest.mark.parametrize("minutes", [-16, 16])
@pytest.mark.parametrize(
    ("kind", "headers", "code", "words"),
    [
        ("header", JSON, "InvalidSignatureException", ("expired", "not yet current")),
        ("header", FORM, "SignatureDoesNotMatch", ("expired", "not yet current")),
        ("s3-header", {}, "RequestTimeTooSkewed", ("too large", "too large")),
    ],
)
def test_a_clock_may_be_fifteen_minutes_wrong(
    kind: str, headers: dict[str, str], code: str, words: tuple[str, str], minutes: int
) -> None:
    request = signed(kind, "POST", "/", headers=headers, body=b"x")
    signature = read(request)
    verify(signature, SECRET_KEY, request, signature.date + timedelta(minutes=minutes * 14 / 16))
    with pytest.raises(ServiceError) as caught:
        verify(signature, SECRET_KEY, request, signature.date + timedelta(minutes=minutes))
    assert caught.value.code == code
    assert words[minutes < 0] in caught.value.message


@pytest.mark.docs
@pytest.mark.parametrize("kind", ["s3-query", "s3-v2"])
def test_a_presigned_url_expires(kind: str) -> None:
    request = signed(kind, "GET", "/bucket/key")
    signature = read(request)
    end = signature.date + timedelta(seconds=signature.expires_s or 0)
    verify(signature, SECRET_KEY, request, end)
    with pytest.raises(ServiceError) as caught:
        verify(signature, SECRET_KEY, request, end + timedelta(seconds=1))
    assert (caught.value.code, caught.value.status) == ("AccessDenied", 403)
    assert caught.value.message == "Request has expired"


@pytest.mark.docs
def test_a_presigned_url_is_good_for_a_week_at_most() -> None:
    request = signed("s3-query", "GET", "/bucket/key")
    longer = replace(request, raw_query=request.raw_query.replace("Expires=60", "Expires=604801"))
    with pytest.raises(ServiceError, match="less than a week") as caught:
        read_signature(longer)
    assert caught.value.code == "AuthorizationQueryParametersError"


def test_no_signature_is_an_anonymous_request() -> None:
    assert read_signature(wire_request("GET", "/bucket", "", {"host": "h"}, b"")) is None


@pytest.mark.docs
@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("AWS AKID:abc", "InvalidRequest"),
        ("Basic abc", "InvalidArgument"),
        ("AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request", "Authorization"),
        ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0", "Authorization"),
        ("AWS4-HMAC-SHA256 ", "Authorization"),
    ],
)
def test_a_broken_header_is_refused(authorization: str, code: str) -> None:
    headers = {"authorization": authorization, "x-amz-date": "20260101T000000Z", "host": "h"}
    with pytest.raises(ServiceError) as caught:
        read_signature(wire_request("GET", "/bucket", "", headers, b""))
    assert caught.value.code.startswith(code)


def test_the_json_services_call_a_broken_header_incomplete() -> None:
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=a/b", "x-amz-target": "SageMaker.X"}
    with pytest.raises(ServiceError) as caught:
        read_signature(wire_request("POST", "/", "", headers, b""))
    assert caught.value.code == "IncompleteSignatureException"


def test_host_must_be_signed() -> None:
    request = signed("header", "POST", "/", headers=JSON)
    authorization = request.headers.get("authorization").replace("host;", "")
    with pytest.raises(ServiceError, match="SignedHeader"):
        read_signature(with_header(request, "authorization", authorization))


@given(st.text(max_size=200))
def test_no_header_crashes_the_reader(text: str) -> None:
    headers = {"authorization": f"AWS4-HMAC-SHA256 {text}", "x-amz-date": text}
    with suppress(ServiceError):
        read_signature(wire_request("GET", "/b/k", "", headers, b""))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30))
def test_any_key_and_prefix_verify(text: str) -> None:
    from botocore.utils import percent_encode

    path = "/bucket/" + percent_encode(text, safe="/~")
    check(signed("s3-header", "GET", path, params={"prefix": text}))


@pytest.mark.docs
def test_the_published_get_object_example() -> None:
    # "Examples of the complete Version 4 signing process", Amazon S3 API Reference.
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
    signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    headers = {
        "host": "examplebucket.s3.amazonaws.com",
        "range": "bytes=0-9",
        "x-amz-content-sha256": empty,
        "x-amz-date": "20130524T000000Z",
        "authorization": f"AWS4-HMAC-SHA256 Credential={scope},"
        f"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature={signature}",
    }
    request = wire_request("GET", "/test.txt", "", headers, b"")
    found = read(request)
    assert found.date == datetime(2013, 5, 24, tzinfo=UTC)
    verify(found, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", request, found.date)
