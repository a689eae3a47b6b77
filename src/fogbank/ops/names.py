"""Names, tags and addresses of a project's resources. Pure.

Names follow from content, so that equal input finds what is already there: a training job is
`<project>-<fingerprint of data, code and settings>`, and so on.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from fogbank.core.arn import Scope

PROJECT_TAG = "fogbank:project"

ALIAS = "live"
"""What callers of a project's function name: it goes on to the latest version by itself, and it
alone has provisioned concurrency."""

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
        """purpose: "train", "host" or "front"."""
        return f"{self.role_prefix}{purpose}"

    @property
    def role_prefix(self) -> str:
        return f"fogbank-{self.project}-"

    def role_arn(self, purpose: str) -> str:
        return self.scope.global_arn("iam", f"role/{self.role(purpose)}")

    @property
    def endpoint(self) -> str:
        return self.project

    @property
    def function(self) -> str:
        return self.project

    @property
    def function_arn(self) -> str:
        return self.scope.arn("lambda", f"function:{self.function}")

    @property
    def function_log_group(self) -> str:
        return f"/aws/lambda/{self.function}"

    def versioned(self, fingerprint: str) -> str:
        """A training job, model or endpoint configuration."""
        return f"{self.project}-{fingerprint}"

    def tuning_job(self, fingerprint: str) -> str:
        """A name of 32 characters at most, those of a next attempt (-99) included; of a longer
        project's name its beginning (API reference, HyperParameterTuningJobName)."""
        return f"{self.tuning_prefix}-{fingerprint}"

    @property
    def tuning_prefix(self) -> str:
        """What the names of tuning jobs and their trials begin with; training jobs' too."""
        return self.project[: 32 - 1 - FINGERPRINT_LENGTH - 3].rstrip("-")

    def s3_uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


def attempt_of(base_name: str, name: str) -> int | None:
    """Jobs cannot be started again: a next attempt has the next number behind its name.

    2 for `<base>-2`, 1 for the base name itself, None for the name of something else.
    """
    match = re.fullmatch(re.escape(base_name) + r"(?:-([2-9]|[1-9]\d+))?", name)
    return None if match is None else int(match[1] or 1)


def next_attempt(base_name: str, name: str) -> str:
    """The name of the attempt after `name`, which has to be one."""
    attempt = attempt_of(base_name, name)
    assert attempt is not None, f"{name} is no attempt of {base_name}"
    return f"{base_name}-{attempt + 1}"


def split_s3_uri(uri: str) -> tuple[str, str]:
    """("bucket", "key") of s3://bucket/key."""
    assert uri.startswith("s3://"), f"not an S3 URI: {uri}"
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
