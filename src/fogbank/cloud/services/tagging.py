"""The tags of a resource by its ARN. Which resources there are, and what a tag may be, each service
says itself."""

from __future__ import annotations

from collections.abc import Collection

from fogbank.cloud.ports import Records
from fogbank.cloud.records.tags import Tags


def tags_of(records: Records, arn: str) -> dict[str, str]:
    """Key -> value; empty for a resource that has none."""
    found = records.get(Tags, arn)
    return {} if found is None else dict(found.tags)


def remove_tags(records: Records, arn: str, keys: Collection[str]) -> None:
    """Keys that the resource does not have are no error."""
    kept = {key: value for key, value in tags_of(records, arn).items() if key not in keys}
    records.put(Tags(arn=arn, tags=kept))
