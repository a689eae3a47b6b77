"""General purpose bucket naming rules (Amazon S3 User Guide). Pure."""

from __future__ import annotations

import re

from fogbank.cloud.errors import ServiceError

_NAME = re.compile(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
_ADDRESS = re.compile(r"^\d{1,3}(\.\d{1,3}){3}$")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_bucket_name(name: str) -> None:
    """Raises InvalidBucketName."""
    if (
        not _NAME.match(name)
        or ".." in name
        or _ADDRESS.match(name)
        or name.startswith(_RESERVED_PREFIXES)
        or name.endswith(_RESERVED_SUFFIXES)
    ):
        raise ServiceError(
            "InvalidBucketName",
            "The specified bucket is not valid.",
            fields={"BucketName": name},
        )
