"""Lifecycle configuration: kept and given back. Nothing expires yet."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import errors, integrity
from fogbank.cloud.services.s3.access import Access

MAX_RULES = 1000

_ACTIONS = (
    "Expiration",
    "Transitions",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionTransitions",
    "AbortIncompleteMultipartUpload",
)


def stored_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A checked rule with an ID, its dates as text. Raises MalformedXML, InvalidArgument,
    InvalidRequest."""
    if not any(rule.get(action) for action in _ACTIONS):
        raise errors.invalid_request("At least one action needs to be specified in a rule.")
    if "Filter" not in rule and "Prefix" not in rule:
        raise errors.malformed_xml()
    identifier = rule.get("ID") or secrets.token_urlsafe(36)
    if len(identifier) > 255:
        raise errors.invalid_argument(
            "ID length should not exceed allowed limit of 255", "ID", identifier
        )
    days = rule.get("Expiration", {}).get("Days")
    if days is not None and days < 1:
        raise errors.invalid_argument(
            "'Days' for Expiration action must be a positive integer", "Days", days
        )
    written: dict[str, Any] = _map_dates(
        {**rule, "ID": identifier},
        lambda value: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value,
    )
    return written


def given_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A stored rule with its dates as moments again."""
    read: dict[str, Any] = _map_dates(
        rule, lambda value: datetime.fromisoformat(value) if isinstance(value, str) else value
    )
    return read


def _map_dates(value: Any, change: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _map_dates(inner, change, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_map_dates(inner, change) for inner in value]
    return change(value) if name == "Date" else value


class Lifecycle:
    def __init__(self, access: Access, records: Records) -> None:
        self._access = access
        self._records = records

    @operation("PutBucketLifecycleConfiguration")
    def put_lifecycle(self, context: Context, params: Params) -> Result:
        integrity.check_document(context)
        bucket = self._access.bucket(params)
        rules = [stored_rule(rule) for rule in params["LifecycleConfiguration"]["Rules"]]
        if not 1 <= len(rules) <= MAX_RULES:
            raise errors.malformed_xml()
        if len({rule["ID"] for rule in rules}) < len(rules):
            raise errors.invalid_argument(
                "Rule ID must be unique. Found same ID for more than one rule",
                "ID",
                rules[0]["ID"],
            )
        minimum = params.get("TransitionDefaultMinimumObjectSize", "all_storage_classes_128K")
        answer = {"TransitionDefaultMinimumObjectSize": minimum}
        self._records.put(replace(bucket, lifecycle={"Rules": rules, **answer}))
        return answer

    @operation("GetBucketLifecycleConfiguration")
    def get_lifecycle(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        if bucket.lifecycle is None:
            raise errors.not_configured(
                "NoSuchLifecycleConfiguration",
                "The lifecycle configuration does not exist",
                bucket.name,
            )
        return {
            **bucket.lifecycle,
            "Rules": [given_rule(rule) for rule in bucket.lifecycle["Rules"]],
        }

    @operation("DeleteBucketLifecycle")
    def delete_lifecycle(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        self._records.put(replace(bucket, lifecycle=None))
        return {}
