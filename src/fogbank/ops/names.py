"""Names, tags and addresses of a project's resources. Pure.

Names follow from content, so that equal input finds what is already there: a training job is
`<project>-<fingerprint of data, code and settings>`, and so on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from fogbank.core.arn import Scope

PROJECT_TAG = "fogbank:project"

FINGERPRINT_LENGTH = 10
"""40 bits: among 10,000 different inputs of a project, two meet with probability 1 in 20,000."""


def fingerprint(*parts: Any) -> str:
    """The short hash of JSON values; equal values give equal text on every machine."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_LENGTH]


@dataclass(frozen=True, slots=True)
class Names:
    """What things of one project are called in one account and region."""

    project: str
    scope: Scope

    @property
    def tags(self) -> list[dict[str, str]]:
        """On every resource: `fogbank down` removes what carries it."""
        return [{"Key": PROJECT_TAG, "Value": self.project}]

    @property
    def bucket(self) -> str:
        return f"fogbank-{self.project}-{self.scope.account}-{self.scope.region}"

    def role(self, purpose: str) -> str:
        """purpose: "train" or "host"."""
        return f"{self.role_prefix}{purpose}"

    @property
    def role_prefix(self) -> str:
        return f"fogbank-{self.project}-"

    def role_arn(self, purpose: str) -> str:
        return self.scope.global_arn("iam", f"role/{self.role(purpose)}")

    @property
    def endpoint(self) -> str:
        return self.project

    def versioned(self, fingerprint: str) -> str:
        """A training job, model or endpoint configuration."""
        return f"{self.project}-{fingerprint}"

    def s3_uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


def split_s3_uri(uri: str) -> tuple[str, str]:
    """("bucket", "key") of s3://bucket/key."""
    assert uri.startswith("s3://"), f"not an S3 URI: {uri}"
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
