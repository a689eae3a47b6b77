"""AWS's own managed policies: dated facts, read from managed_policies.json.

Only some twenty are known (see scripts/refresh_managed_policies.py); the names of others are
answered like names that do not exist.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib import resources

from fogbank.cloud.records.iam import ManagedPolicy, PolicyVersion

AWS_POLICY_PREFIX = "arn:aws:iam::aws:policy/"


@cache
def aws_managed_policies() -> Mapping[str, ManagedPolicy]:
    """ARN -> policy, with its one version that is in force."""
    text = resources.files(__package__).joinpath("managed_policies.json").read_text("utf-8")
    policies = {}
    for entry in json.loads(text)["policies"]:
        arn = f"{AWS_POLICY_PREFIX}{entry['path'][1:]}{entry['name']}"
        updated = datetime.fromisoformat(entry["updated"])
        number = entry["version"]
        policies[arn] = ManagedPolicy(
            name=entry["name"],
            path=entry["path"],
            unique_id=_policy_id(arn),
            arn=arn,
            created=datetime.fromisoformat(entry["created"]),
            updated=updated,
            versions=(
                PolicyVersion(
                    number=number, document=json.dumps(entry["document"], indent=4), created=updated
                ),
            ),
            default_number=number,
            next_number=number + 1,
        )
    return policies


def _policy_id(arn: str) -> str:
    """Stable, in AWS's shape; the real ids are not in the data."""
    return "ANPA" + base64.b32encode(sha256(arn.encode()).digest()).decode()[:17]
