"""Writes docs/reference/operations.md: what the local cloud implements, of what the models have."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from fogbank.cloud.app import Settings, build
from fogbank.cloud.codec.model import service_model
from fogbank.core.clock import SystemClock

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "operations.md"

HEAD = """# Operations

What the local cloud implements. Anything else that botocore's models know answers
`NotImplemented` (HTTP 501) with the operation's name, and changes nothing.

This page is written by `scripts/write_operations.py`; a test compares it with the code, and another
sends every operation on it through botocore's own serializer and parser, both ways.

| service | implemented | of |
|---|---:|---:|
"""


async def implemented(home: Path) -> dict[str, list[str]]:
    """service -> names of implemented operations, of a cloud built on an empty folder."""
    cloud = await build(Settings(home=home), SystemClock())
    await cloud.stop()
    return cloud.gateway.operations


def page(operations: dict[str, list[str]]) -> str:
    """The page as Markdown."""
    rows = [
        f"| [{name}](#{name}) | {len(found)} | {len(service_model(name).operation_names)} |"
        for name, found in operations.items()
    ]
    lists = [f"\n## {name}\n\n{', '.join(found)}\n" for name, found in operations.items()]
    return HEAD + "\n".join(rows) + "\n" + "".join(lists)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(page(asyncio.run(implemented(Path(folder)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
