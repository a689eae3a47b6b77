"""Log groups: create, delete, describe, retention, tags (CloudWatch Logs API Reference)."""

from __future__ import annotations

from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.logs import LogGroup
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.logs.directory import (
    Directory,
    already_exists,
    bad_token,
    invalid,
)
from fogbank.cloud.services.paging import BadToken, page_by_key
from fogbank.cloud.state.log_store import LogStore
from fogbank.core.clock import epoch_ms

MAX_TAGS = 50
DEFAULT_PAGE_SIZE = 50

RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
)  # fmt: skip


class Groups:
    def __init__(self, records: Records, store: LogStore, directory: Directory) -> None:
        self._records = records
        self._store = store
        self._directory = directory

    @operation("CreateLogGroup")
    def create_log_group(self, context: Context, params: Params) -> Result:
        name = params["logGroupName"]
        if self._records.get(LogGroup, name) is not None:
            raise already_exists("log group")
        with self._records.transaction():
            self._records.put(
                replace(
                    self._store.create_group(name),
                    log_class=params.get("logGroupClass", "STANDARD"),
                    kms_key_id=params.get("kmsKeyId"),
                    deletion_protected=params.get("deletionProtectionEnabled", False),
                    tags=dict(params.get("tags", {})),
                )
            )
        return {}

    @operation("DeleteLogGroup")
    def delete_log_group(self, context: Context, params: Params) -> Result:
        group = self._directory.group(params["logGroupName"])
        if group.deletion_protected:
            raise ServiceError(
                "ValidationException",
                f"Log group {group.name} cannot be deleted: deletion protection is enabled.",
            )
        self._store.delete_group(group)
        return {}

    @operation("DescribeLogGroups")
    def describe_log_groups(self, context: Context, params: Params) -> Result:
        prefix, pattern = params.get("logGroupNamePrefix", ""), params.get("logGroupNamePattern")
        if prefix and pattern:
            raise invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive.")
        groups = self._records.all(LogGroup, prefix=prefix)
        if pattern:
            groups = [group for group in groups if pattern.lower() in group.name.lower()]
        if "logGroupIdentifiers" in params:
            chosen = {
                self._directory.group_of({"logGroupIdentifier": identifier}).name
                for identifier in params["logGroupIdentifiers"]
            }
            groups = [group for group in groups if group.name in chosen]
        if "logGroupClass" in params:
            groups = [group for group in groups if group.log_class == params["logGroupClass"]]
        size = params.get("limit", DEFAULT_PAGE_SIZE)
        try:
            shown, more = page_by_key(
                groups, lambda group: group.name, params.get("nextToken"), size
            )
        except BadToken as error:
            raise bad_token() from error
        result: dict[str, object] = {"logGroups": [self._shape(group) for group in shown]}
        return result if more is None else {**result, "nextToken": more}

    def _shape(self, group: LogGroup) -> dict[str, object]:
        streams = self._store.streams(group.name)
        shape: dict[str, object] = {
            "logGroupName": group.name,
            "creationTime": epoch_ms(group.created),
            "metricFilterCount": 0,
            "arn": f"{group.arn}:*",
            "logGroupArn": group.arn,
            "logGroupClass": group.log_class,
            "storedBytes": sum(self._store.file(stream).size_bytes for stream in streams),
            "deletionProtectionEnabled": group.deletion_protected,
        }
        if group.retention_days is not None:
            shape["retentionInDays"] = group.retention_days
        if group.kms_key_id is not None:
            shape["kmsKeyId"] = group.kms_key_id
        return shape

    @operation("PutRetentionPolicy")
    def put_retention_policy(self, context: Context, params: Params) -> Result:
        group = self._directory.group(params["logGroupName"])
        days = params["retentionInDays"]
        if days not in RETENTION_DAYS:
            raise invalid(
                "1 validation error detected: Value at 'retentionInDays' failed to satisfy "
                f"constraint: Member must satisfy enum value set: {list(RETENTION_DAYS)}"
            )
        self._records.put(replace(group, retention_days=days))
        return {}

    @operation("DeleteRetentionPolicy")
    def delete_retention_policy(self, context: Context, params: Params) -> Result:
        group = self._directory.group(params["logGroupName"])
        self._records.put(replace(group, retention_days=None))
        return {}

    @operation("TagResource")
    def tag_resource(self, context: Context, params: Params) -> Result:
        group = self._directory.group_of_arn(params["resourceArn"])
        tags = {**group.tags, **params["tags"]}
        if len(tags) > MAX_TAGS:
            raise ServiceError(
                "TooManyTagsException", f"A log group can have {MAX_TAGS} tags at most."
            )
        self._records.put(replace(group, tags=tags))
        return {}

    @operation("UntagResource")
    def untag_resource(self, context: Context, params: Params) -> Result:
        group = self._directory.group_of_arn(params["resourceArn"])
        gone = set(params["tagKeys"])
        kept = {key: value for key, value in group.tags.items() if key not in gone}
        self._records.put(replace(group, tags=kept))
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, context: Context, params: Params) -> Result:
        return {"tags": dict(self._directory.group_of_arn(params["resourceArn"]).tags)}
