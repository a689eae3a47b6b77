"""Read one object over S3's REST API. In: an s3:// URI, credentials from the environment, the time.
Out: a file. Makes one HTTP request, signed with Signature Version 4.

An image has no SDK of its own; this is the one call that it needs, for code that the machine did
not put in place. Source: "Authenticating Requests (AWS Signature Version 4)" in the S3 API
Reference.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from fogbank.images.errors import FetchError

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_TIMEOUT_S = 60.0


def fetch(uri: str, path: Path, environ: Mapping[str, str], now: time.struct_time) -> None:
    """Write the object at `uri` (s3://bucket/key) to `path`.

    `now` is UTC. Endpoint, region and credentials are those that the AWS SDKs would take from
    `environ` (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, ...); without
    an endpoint AWS's own is used. Raises FetchError.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise FetchError(f"{uri!r} is not of the form s3://bucket/key")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    url = _url(bucket, key, region, environ)
    request = urllib.request.Request(url, headers=_signed_headers(url, region, environ, now))  # noqa: S310
    # No proxies: the endpoint is the local cloud or AWS itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response, path.open("wb") as out:
            shutil.copyfileobj(response, out, 1 << 20)
    except urllib.error.HTTPError as error:
        detail = error.read(1000).decode("utf-8", "replace")
        raise FetchError(f"cannot read {uri}: HTTP {error.code} {detail}") from error
    except OSError as error:
        raise FetchError(f"cannot read {uri} from {url}: {error}") from error


def _url(bucket: str, key: str, region: str, environ: Mapping[str, str]) -> str:
    endpoint = (
        environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
        or environ.get("S3_ENDPOINT_URL")
        or f"https://s3.{region}.amazonaws.com"
    )
    if not endpoint.startswith(("http://", "https://")):
        raise FetchError(f"the endpoint {endpoint!r} is not an http(s) URL")
    return f"{endpoint.rstrip('/')}/{bucket}/{urllib.parse.quote(key, safe='/~')}"


def _signed_headers(
    url: str, region: str, environ: Mapping[str, str], now: time.struct_time
) -> dict[str, str]:
    split = urllib.parse.urlsplit(url)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", now)
    headers = {
        "host": split.netloc,
        "x-amz-content-sha256": _EMPTY_SHA256,
        "x-amz-date": stamp,
    }
    token = environ.get("AWS_SESSION_TOKEN")
    if token:
        headers["x-amz-security-token"] = token
    key_id = environ.get("AWS_ACCESS_KEY_ID")
    secret = environ.get("AWS_SECRET_ACCESS_KEY")
    if not key_id or not secret:
        raise FetchError("no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            *("GET", split.path, ""),
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            *("", names, _EMPTY_SHA256),
        ]
    )
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    signing_key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    signature = hmac.digest(signing_key, to_sign.encode(), "sha256").hex()
    return {
        **headers,
        "authorization": (
            f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}"
        ),
    }
