"""Amazon Resource Names: `arn:partition:service:region:account:resource`."""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Scope:
    """The account and region that a cloud stands for."""

    account: str = "123456789012"
    region: str = "us-east-1"

    def arn(self, service: str, resource: str) -> str:
        """A regional ARN: `scope.arn("sagemaker", "training-job/dogs")`."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """An ARN without a region (iam, sts): `scope.global_arn("iam", "role/train")`."""
        return f"arn:aws:{service}::{self.account}:{resource}"


@dataclass(frozen=True, slots=True)
class Arn:
    """The parts of an ARN. `resource` keeps everything after the fifth colon."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Arn:
        """Raises InputError when `text` has not the six colon-separated parts of an ARN."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[2]:
            raise InputError(
                f"not an ARN: {text!r} (expected arn:partition:service:region:account:resource)"
            )
        return cls(*parts[1:])

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"
