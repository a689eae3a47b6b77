"""What the fakes have in place of botocore's paginators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Paginator:
    """One page with everything: what the real ones give for little."""

    def __init__(self, operation: Any) -> None:
        self._operation = operation

    def paginate(self, **parameters: Any) -> Iterator[dict[str, Any]]:
        yield self._operation(**parameters)
