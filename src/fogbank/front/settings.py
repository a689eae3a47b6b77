"""What a function is told by its environment variables. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MAX_PICTURE_BYTES = 6 * 1024 * 1024
"""InvokeEndpoint takes no more (SageMaker endpoints and quotas)."""

MAX_PIXELS = 1 << 26
"""67 million, 8192 x 8192: a larger one is no photograph but 200 MB of memory at the endpoint."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the front may do, and how far it goes."""

    endpoint: str
    """Name of the endpoint that is asked."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts whose pictures may be fetched: `images.example.com`, `*.example.com` (all below it, not
    itself), each with `:port` where it is not 443. Without any, no address is fetched."""
    s3_prefixes: tuple[str, ...] = ()
    """`s3://bucket/prefix/`: objects that may be read."""
    max_picture_bytes: int = MAX_PICTURE_BYTES
    max_pixels: int = MAX_PIXELS
    fetch_timeout_s: float = 10.0
    """For a picture from elsewhere: names, connections, redirects and all its bytes together."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Reads ENDPOINT_NAME, ALLOWED_HOSTS and S3_PREFIXES (words between spaces).

        Raises ValueError without ENDPOINT_NAME.
        """
        endpoint = environ.get("ENDPOINT_NAME", "")
        if not endpoint:
            raise ValueError("ENDPOINT_NAME is not set: it names the endpoint to ask")
        return cls(
            endpoint=endpoint,
            allowed_hosts=tuple(environ.get("ALLOWED_HOSTS", "").split()),
            s3_prefixes=tuple(environ.get("S3_PREFIXES", "").split()),
        )
