"""Writes objects until it is killed; says on standard output which ones were acknowledged.

Arguments: the folder, the number of concurrent writers.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

from fogbank.cloud.records.bucket import Bucket
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.objects import ObjectStore, whole
from fogbank.cloud.state.objects_rows import Description
from fogbank.cloud.state.records import SqliteRecords
from fogbank.core.clock import SystemClock


def content_of(key: str) -> bytes:
    """Contents of many sizes, small and in several chunks, that follow from the key."""
    number = int(key)
    seed = hashlib.sha256(key.encode()).digest()
    return seed * (1 + (number * 7919) % (40_000 if number % 5 == 0 else 2_000))


async def body(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 65536):
        yield content[start : start + 65536]


async def write_for_ever(folder: Path, num_writers: int) -> None:
    clock = SystemClock()
    database = Database(folder / "records.db")
    records = SqliteRecords(database)
    store = ObjectStore(database, records, folder / "s3", clock)
    records.put(Bucket(name="dogs", region="us-east-1", created=clock.now()))
    numbers = count()

    async def write() -> None:
        for number in numbers:
            key = f"{number:06d}"
            content = await store.content.receive(body(content_of(key)), algorithms=["CRC32"])
            await store.add(whole("dogs", key, content, Description()))
            sys.stdout.write(key + "\n")
            sys.stdout.flush()

    await asyncio.gather(*(write() for _ in range(num_writers)))


if __name__ == "__main__":
    asyncio.run(write_for_ever(Path(sys.argv[1]), int(sys.argv[2])))
