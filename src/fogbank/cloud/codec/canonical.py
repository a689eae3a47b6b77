"""A request in, the text that was signed out: SigV4's canonical request, SigV2's string to sign."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote, unquote_plus, unquote_to_bytes

from botocore.utils import normalize_url_path

from fogbank.cloud.context import Headers, Request

# Parameters that SigV2 does not sign. Every other one may be a sub-resource, which it does sign: an
# unsigned `?acl` would turn a URL for an object into one for its permissions. Source:
# "Constructing the CanonicalizedResource element", Amazon S3 User Guide.
_V2_PLAIN = {
    *("AWSAccessKeyId", "Signature", "Expires", "content-type", "content-md5"),
    *("list-type", "prefix", "delimiter", "marker", "max-keys", "encoding-type"),
    *("continuation-token", "start-after", "fetch-owner", "key-marker", "version-id-marker"),
    *("max-uploads", "upload-id-marker", "max-parts", "part-number-marker", "x-id"),
}


def canonical_request(
    request: Request, *, signed_headers: tuple[str, ...], payload_hash: str, s3: bool
) -> str:
    """SigV4's canonical request. s3: the path is encoded once and kept as it is; the other services
    encode it twice and normalise it.
    """
    headers = "\n".join(f"{name}:{_header(request.headers, name)}" for name in signed_headers)
    return "\n".join(
        (
            request.method,
            _s3_path(request.raw_path) if s3 else _path(request.raw_path),
            _query(request.raw_query),
            headers + "\n",
            ";".join(signed_headers),
            payload_hash,
        )
    )


def _s3_path(raw_path: str) -> str:
    # Clients differ in what they escape; S3 decodes and escapes again in its own way.
    return quote(unquote_to_bytes(raw_path), safe="/~")


@lru_cache(maxsize=512)  # the hot paths are few: `/`, an endpoint's, a function's
def _path(raw_path: str) -> str:
    return quote(normalize_url_path(raw_path), safe="/~")


def _query(raw_query: str) -> str:
    if not raw_query:
        return ""
    pairs = []
    for pair in raw_query.split("&"):
        name, _, value = pair.partition("=")
        if name and name != "X-Amz-Signature":
            # A space travels as "+" and is signed as "%20".
            pairs.append((_escaped(name), _escaped(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _escaped(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="~")


def _header(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if "," not in value:  # given once, or not at all
        return " ".join(value.split())
    values = [" ".join(value.split()) for key, value in headers.items if key == name]
    return ",".join(values)


def resource_v2(request: Request, virtual_bucket: str | None) -> str:
    """SigV2's string to sign for a presigned URL.

    virtual_bucket: the bucket, where the Host header names it: the resource always starts with it.
    """
    sent = dict(request.headers.items)
    query: dict[str, str] = {}
    signed = []
    for pair in request.raw_query.split("&"):
        name, separator, value = pair.partition("=")
        query.setdefault(name.lower(), unquote_plus(value))
        if name not in _V2_PLAIN and not name.lower().startswith("x-amz-"):
            signed.append((name, f"{name}={unquote_plus(value)}" if separator else name))
    lines = [
        request.method,
        sent.get("content-md5", query.get("content-md5", "")),
        sent.get("content-type", query.get("content-type", "")),
        query.get("expires", ""),
    ]
    amz = {name: value for name, value in query.items() if name.startswith("x-amz-")}
    amz |= {name: value.strip() for name, value in sent.items() if name.startswith("x-amz-")}
    lines += [f"{name}:{amz[name]}" for name in sorted(amz)]
    path = request.raw_path if virtual_bucket is None else f"/{virtual_bucket}{request.raw_path}"
    resources = "&".join(text for _, text in sorted(signed))
    lines.append(path + (f"?{resources}" if resources else ""))
    return "\n".join(lines)
