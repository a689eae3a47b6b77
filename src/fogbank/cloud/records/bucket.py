"""An S3 bucket and its configuration. Its objects are rows of their own (see state/objects.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

VersioningStatus = Literal["Enabled", "Suspended"]

ALL_PUBLIC_ACCESS_BLOCKED: Mapping[str, bool] = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}

SSE_S3: Mapping[str, Any] = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
        }
    ]
}


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """location_constraint: as CreateBucket gave it; None in us-east-1.
    versioning:           None until versioning is configured for the first time.
    encryption:           ServerSideEncryptionConfiguration; every bucket has one.
    public_access_block, ownership, policy, lifecycle: None where not configured.
    lifecycle:            {"Rules": [...], "TransitionDefaultMinimumObjectSize": ...}, dates in
                          ISO 8601.
    """

    kind: ClassVar[str] = "s3.bucket"

    name: str
    region: str
    created: datetime
    location_constraint: str | None = None
    versioning: VersioningStatus | None = None
    encryption: Mapping[str, Any] = field(default_factory=lambda: SSE_S3)
    public_access_block: Mapping[str, bool] | None = field(
        default_factory=lambda: ALL_PUBLIC_ACCESS_BLOCKED
    )
    ownership: str | None = "BucketOwnerEnforced"
    policy: str | None = None
    lifecycle: Mapping[str, Any] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.name
