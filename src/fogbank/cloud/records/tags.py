"""Tags of a resource that is known by its ARN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Tags:
    kind: ClassVar[str] = "tags"

    arn: str
    tags: Mapping[str, str]

    @property
    def key(self) -> str:
        return self.arn
