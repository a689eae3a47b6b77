"""The object store: durable, tidy, constant in memory, ordered by UTF-8."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cloud.aws import NOW
from cloud.state.objects_under_kill import content_of
from fogbank.cloud.ports import Objects
from fogbank.cloud.records.bucket import Bucket
from fogbank.cloud.state import objects_checksums as checksums
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.objects import NoSuchBucket, ObjectStore, Removal, whole
from fogbank.cloud.state.objects_content import Content, TooLarge
from fogbank.cloud.state.objects_rows import Description, Version
from fogbank.cloud.state.records import SqliteRecords
from fogbank.testing.clock import ManualClock

MIB = 1024**2


class Opened:
    """A store in a folder, with a bucket `dogs`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(folder / "records.db")
        self.records = SqliteRecords(self.database)
        self.store = ObjectStore(self.database, self.records, folder / "s3", ManualClock(NOW))
        if self.records.get(Bucket, "dogs") is None:
            self.records.put(Bucket(name="dogs", region="us-east-1", created=NOW))

    async def put(self, key: str, content: bytes) -> Version:
        received = await self.store.content.receive(pieces(content), algorithms=["CRC32"])
        return await self.store.add(whole("dogs", key, received, Description()))

    def files(self) -> list[Path]:
        return [path for path in (self.folder / "s3").rglob("*") if path.is_file()]

    def close(self) -> None:
        self.store.close()
        self.database.close()


async def pieces(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = Opened(tmp_path)
    yield made
    made.close()


async def test_the_machines_view(opened: Opened, tmp_path: Path) -> None:
    objects: Objects = opened.store
    source = tmp_path / "model.tar.gz"
    source.write_bytes(b"weights" * 300_000)
    stored = await objects.put_file("dogs", "out/model.tar.gz", source, content_type="x/y")
    assert (stored.size_bytes, stored.modified) == (2_100_000, NOW)
    assert stored.path.read_bytes() == source.read_bytes()
    assert stored.path.stat().st_mode & 0o222 == 0  # nobody writes through it by mistake
    assert objects.stat("dogs", "out/model.tar.gz") == stored
    assert await objects.read("dogs", "out/model.tar.gz") == source.read_bytes()
    assert objects.stat("dogs", "nothing") is None
    with pytest.raises(LookupError):
        await objects.read("dogs", "nothing")
    for call in (objects.stat, objects.list):
        with pytest.raises(LookupError):
            call("cats", "a")
    with pytest.raises(LookupError):
        await objects.put_file("cats", "a", source)


async def test_list_is_in_utf8_order_and_goes_past_a_page(opened: Opened) -> None:
    # UTF-16 and UTF-8 order differ here: U+FF5E sorts before an emoji
    keys = ["p/～", "p/🐕", "p/z", "p/ä", "q", *(f"p/n{n:04d}" for n in range(1100))]
    await asyncio.gather(*(opened.put(key, b"x") for key in keys))
    found = [stored.key for stored in opened.store.list("dogs", "p/")]
    assert found == sorted((key for key in keys if key != "q"), key=str.encode)


async def test_list_may_be_read_while_others_write(opened: Opened) -> None:
    for n in range(5):
        await opened.put(f"a{n}", b"x")
    seen = []
    for stored in opened.store.list("dogs", "a"):
        seen.append(stored.key)
        await opened.store.remove("dogs", [Removal(stored.key)])
    assert seen == [f"a{n}" for n in range(5)]
    assert list(opened.store.list("dogs", "")) == []


@pytest.mark.parametrize("size", [0, 1, 1000, 512 * 1024, 512 * 1024 + 1, 3 * MIB])
async def test_any_size(opened: Opened, size: int) -> None:
    content = os.urandom(size)
    version = await opened.put("a", content)
    assert version.size_bytes == size
    assert version.checksum is not None
    assert version.checksum.value == checksums.of("CRC32", content)
    assert await opened.store.read("dogs", "a") == content


async def test_memory_stays_constant(opened: Opened) -> None:
    piece = bytes(64 * 1024)

    async def large() -> AsyncIterator[bytes]:
        for _ in range(64 * 16):
            yield bytes(piece)

    tracemalloc.start()
    content = await opened.store.content.receive(large())
    async for _ in opened.store.content.open(content.blob):
        pass
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert content.size_bytes == 64 * MIB
    assert peak_bytes < 8 * MIB


async def test_a_body_that_breaks_off_leaves_nothing(opened: Opened) -> None:
    async def broken(size: int) -> AsyncIterator[bytes]:
        yield bytes(size)
        raise ConnectionError("gone")

    for size in (10, 600 * 1024, 2 * MIB):
        with pytest.raises(ConnectionError):
            await opened.store.content.receive(broken(size))
    with pytest.raises(TooLarge):
        await opened.store.content.receive(pieces(bytes(2 * MIB), 65536), max_size_bytes=MIB)

    def refuse(content: Content) -> None:
        raise ValueError("no")

    for size in (10, 2 * MIB):
        with pytest.raises(ValueError, match="no"):
            await opened.store.content.receive(pieces(bytes(size), 65536), check=refuse)
    opened.store.close()
    assert opened.files() == []


@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_a_cancelled_write_leaves_nothing(opened: Opened, size: int) -> None:
    for steps in range(12):  # cancelled at every step on the way, the last ones after the end
        task = asyncio.create_task(opened.put(f"a{steps}", bytes(size)))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    kept = {stored.path for stored in opened.store.list("dogs", "")}
    opened.store.close()
    assert set(opened.files()) == kept


async def test_a_file_that_is_deleted_while_it_is_read_is_read_to_its_end(opened: Opened) -> None:
    version = await opened.put("a", bytes(3 * MIB))
    assert version.blob is not None
    body = opened.store.content.open(version.blob)
    size = len(await anext(body))
    await opened.store.remove("dogs", [Removal("a")])
    opened.store.close()
    assert opened.files() == []
    reopened = Opened(opened.folder)
    assert reopened.store.stat("dogs", "a") is None
    assert size == MIB
    body.close()
    reopened.close()


async def test_concurrent_conditional_writes_have_one_winner(opened: Opened) -> None:
    def only_new(current: Version | None) -> None:
        if current is not None:
            raise FileExistsError

    async def write(n: int) -> None:
        content = await opened.store.content.receive(pieces(b"%d" % n), algorithms=["CRC32"])
        new = whole("dogs", "a", content, Description())
        await opened.store.add(new, guard=only_new)

    outcomes = await asyncio.gather(*(write(n) for n in range(20)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, FileExistsError) for outcome in outcomes) == 19
    opened.store.close()
    assert len(opened.files()) == 1


async def test_a_bucket_that_goes_while_a_body_comes(opened: Opened) -> None:
    content = await opened.store.content.receive(pieces(b"x"), algorithms=["CRC32"])
    opened.store.remove_bucket(opened.store.bucket("dogs"))
    with pytest.raises(NoSuchBucket):
        await opened.store.add(whole("dogs", "a", content, Description()))
    opened.store.close()
    assert opened.files() == []


async def test_what_no_row_names_is_swept_at_the_next_start(opened: Opened) -> None:
    version = await opened.put("a", b"kept")
    orphan = await opened.store.content.receive(pieces(b"never acknowledged"))
    (opened.folder / "s3" / "incoming" / "half").write_bytes(b"ha")
    opened.close()
    assert len(opened.files()) == 3
    again = Opened(opened.folder)
    assert version.blob is not None
    assert again.files() == [again.store.content.path(version.blob)]
    # numbers are never given out twice
    assert (await again.store.content.receive(pieces(b"new"))).blob > orphan.blob
    again.close()


@pytest.mark.parametrize("num_acknowledged", [1, 20, 150])
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, num_acknowledged: int) -> None:
    writer = Path(__file__).with_name("objects_under_kill.py")
    with subprocess.Popen(
        [sys.executable, writer, tmp_path, "8"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(num_acknowledged)]
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.read().split()
    assert process.returncode == -signal.SIGKILL
    opened = Opened(tmp_path)
    found = {stored.key: stored for stored in opened.store.list("dogs", "")}
    assert set(acknowledged) <= set(found)
    for key, stored in found.items():
        assert stored.path.read_bytes() == content_of(key)
    assert set(opened.files()) == {stored.path for stored in found.values()}
    opened.close()
