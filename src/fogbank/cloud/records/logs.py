"""What CloudWatch Logs keeps besides the lines: groups and streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class LogGroup:
    """arn: without the `:*` that some operations add. retention_days: None keeps for ever."""

    kind: ClassVar[str] = "logs.group"

    name: str
    arn: str
    created: datetime
    retention_days: int | None = None
    log_class: str = "STANDARD"
    kms_key_id: str | None = None
    deletion_protected: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class LogStream:
    """file_id: names the file with the lines; never given twice, so a stream that is deleted and
    made again does not inherit lines."""

    kind: ClassVar[str] = "logs.stream"

    group: str
    name: str
    arn: str
    created: datetime
    file_id: str

    @property
    def key(self) -> str:
        return stream_key(self.group, self.name)


def stream_key(group: str, name: str) -> str:
    """Neither names of groups nor of streams have a colon in them."""
    return f"{group}:{name}"
