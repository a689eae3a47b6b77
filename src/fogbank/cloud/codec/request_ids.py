"""The headers that carry the request's id, in each family's names."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256


def id_headers(service: str, request_id: str) -> dict[str, str]:
    """`x-amzn-requestid`; for S3 `x-amz-request-id` and `x-amz-id-2`."""
    if service == "s3":
        return {"x-amz-request-id": request_id, "x-amz-id-2": host_id(request_id)}
    return {"x-amzn-requestid": request_id}


def host_id(request_id: str) -> str:
    """S3's extended request id: opaque, long, the same for the same request."""
    return b64encode(sha256(request_id.encode()).digest()).decode("ascii")
