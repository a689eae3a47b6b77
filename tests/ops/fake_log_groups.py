"""Log groups in memory: that they exist, whose they are, and how long they are kept."""

from __future__ import annotations

from typing import Any

from ops.refusal import refusal


class FakeLogGroups:
    """groups: name -> streams: name -> lines."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, list[str]]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.retention: dict[str, int] = {}

    def describe_log_groups(self, *, logGroupNamePrefix: str) -> dict[str, Any]:
        return {
            "logGroups": [
                {"logGroupName": name, **self._retention(name)}
                for name in self.groups
                if name.startswith(logGroupNamePrefix)
            ]
        }

    def _retention(self, name: str) -> dict[str, int]:
        days = self.retention.get(name)
        return {} if days is None else {"retentionInDays": days}

    def create_log_group(self, *, logGroupName: str) -> None:
        if logGroupName in self.groups:
            raise refusal("CreateLogGroup", "ResourceAlreadyExistsException")
        self.groups[logGroupName] = {}

    def delete_log_group(self, *, logGroupName: str) -> None:
        del self.groups[logGroupName]

    def tag_resource(self, *, resourceArn: str, tags: dict[str, str]) -> None:
        self.tags[resourceArn] = tags

    def list_tags_for_resource(self, *, resourceArn: str) -> dict[str, Any]:
        return {"tags": self.tags.get(resourceArn, {})}

    def put_retention_policy(self, *, logGroupName: str, retentionInDays: int) -> None:
        assert logGroupName in self.groups
        self.retention[logGroupName] = retentionInDays

    def delete_retention_policy(self, *, logGroupName: str) -> None:
        self.retention.pop(logGroupName, None)
