"""kill -9 of the server, at bad moments. What was acknowledged is there after the next start.

One cloud dies in every test, and starts again on the same folder and port; buckets are the tests'.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from e2e.account import Account
from e2e.waiting import until
from fogbank.testing.cloud import RunningCloud


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    running = RunningCloud(tmp_path_factory.mktemp("mortal")).start()
    try:
        yield running
    finally:
        assert running.stop() == 0


@pytest.fixture
def own(mortal: RunningCloud, request: pytest.FixtureRequest) -> Account:
    """With a bucket of the test's name."""
    return Account(mortal, request.node.name.replace("_", "-"))


def instances(home: Path) -> dict[int, str]:
    """Processes of jobs and endpoints of that cloud: pid -> the folder of its instance."""
    found: dict[int, str] = {}
    for process in psutil.process_iter():
        try:
            mark = process.environ().get("FOGBANK_INSTANCE", "")
        except psutil.Error:
            continue  # it has ended meanwhile, or is none of ours
        if mark.startswith(f"{home}/") and process.is_running():
            found[process.pid] = mark
    return found


def content(number: int, size_bytes: int = 50_000) -> bytes:
    """Bytes that only this object has."""
    word = hashlib.sha256(str(number).encode()).digest()
    return (word * (size_bytes // len(word) + 1))[:size_bytes]


class Writers:
    """Threads that put objects until the server is gone."""

    def __init__(self, account: Account, num_threads: int) -> None:
        self.tried: set[int] = set()
        self.acknowledged: set[int] = set()
        self._account = account
        self._num_threads = num_threads
        self._lock = threading.Lock()

    def _next(self) -> int:
        with self._lock:
            number = len(self.tried)
            self.tried.add(number)
            return number

    def _write(self) -> None:
        try:
            while True:
                number = self._next()
                self._account.put(f"small/{number:05}", content(number))
                self.acknowledged.add(number)
        except (BotoCoreError, ClientError):
            return  # the server is gone

    def until_killed(self, num_before: int) -> None:
        """Write `num_before` objects, kill the server in the middle of the next ones."""
        with ThreadPoolExecutor(self._num_threads) as pool:
            writers = [pool.submit(self._write) for _ in range(self._num_threads)]
            until(lambda: len(self.acknowledged) >= num_before, f"{num_before} objects")
            self._account.cloud.kill()
            for writer in writers:
                writer.result()


def test_during_small_uploads(own: Account) -> None:
    writers = Writers(own, num_threads=4)
    writers.until_killed(num_before=150)
    own.cloud.start()
    pages = own.s3.get_paginator("list_objects_v2").paginate(Bucket=own.bucket, Prefix="small/")
    listed = {item["Key"]: item for page in pages for item in page.get("Contents", ())}
    numbers = {int(key.removeprefix("small/")) for key in listed}
    assert writers.acknowledged <= numbers <= writers.tried
    for number in numbers:
        # Also one that nobody got an answer for is whole, if it is there.
        assert own.get(f"small/{number:05}") == content(number)
        assert listed[f"small/{number:05}"]["Size"] == 50_000


def test_during_one_large_upload(own: Account) -> None:
    own.put("large", "the one before")
    url = own.s3.generate_presigned_url("put_object", {"Bucket": own.bucket, "Key": "large"})
    objects = own.cloud.home / "s3"
    before_bytes = _size_bytes(objects)
    with closing(HTTPConnection("127.0.0.1", own.cloud.port, timeout=30)) as connection:
        connection.putrequest("PUT", url.removeprefix(own.cloud.url))
        connection.putheader("content-length", str(20 << 20))
        connection.endheaders()
        connection.send(content(1, 10 << 20))
        # Not quite all of it: the last piece waits in memory for more.
        until(
            lambda: _size_bytes(objects) >= before_bytes + (9 << 20),
            "almost half the object on the disk",
        )
        own.cloud.kill()
    own.cloud.start()
    assert own.get("large") == b"the one before"
    assert _size_bytes(objects) == before_bytes, "nothing is left of the other half"


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_during_a_multipart_upload(own: Account) -> None:
    size_bytes = 5 << 20
    upload = {"Bucket": own.bucket, "Key": "large"}
    upload["UploadId"] = own.s3.create_multipart_upload(**upload)["UploadId"]
    etags: dict[int, str] = {}

    def put_part(number: int) -> None:
        answer = own.s3.upload_part(**upload, PartNumber=number, Body=content(number, size_bytes))
        etags[number] = answer["ETag"]

    def put_parts() -> None:
        try:
            for number in range(1, 200):
                put_part(number)
        except (BotoCoreError, ClientError):
            return  # the server is gone

    writer = threading.Thread(target=put_parts)
    writer.start()
    until(lambda: len(etags) >= 3, "three parts")
    own.cloud.kill()
    writer.join()
    own.cloud.start()

    assert own.keys("") == []
    listed = {part["PartNumber"]: part for part in own.s3.list_parts(**upload)["Parts"]}
    assert {number: listed[number]["ETag"] for number in etags} == etags
    assert {part["Size"] for part in listed.values()} == {size_bytes}
    last = len(etags) + 1
    put_part(last)  # the one that was on its way, or again
    parts = [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]
    own.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert own.get("large") == b"".join(content(n, size_bytes) for n in range(1, last + 1))
    assert "Uploads" not in own.s3.list_multipart_uploads(Bucket=own.bucket)


CAREFUL = """
    import os, pathlib, time
    state = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints" / "state.txt"
    if state.exists():
        print("going on from", state.read_text())
        pathlib.Path(os.environ["SM_MODEL_DIR"], "m.txt").write_text(state.read_text())
    else:
        state.write_text("epoch 7")
        print("saved")
        time.sleep(600)
"""


def test_during_training_jobs(own: Account) -> None:
    """One has checkpoints, one has not, one may be tried again."""
    sleep = "import time; print('at work', flush=True); time.sleep(600)"
    own.train("careful", CAREFUL, CheckpointConfig={"S3Uri": f"s3://{own.bucket}/checkpoints"})
    own.train("careless", sleep)
    own.job_says("careful", "saved")
    own.job_says("careless", "at work")
    before = instances(own.cloud.home)
    assert len(set(before.values())) == 2
    own.cloud.kill()
    own.cloud.start()
    assert not [pid for pid in before if pid in instances(own.cloud.home)]

    careless = own.job_end("careless")
    assert careless["TrainingJobStatus"] == "Failed"
    assert "the host restarted while the job was training" in careless["FailureReason"]
    assert "at work" in own.job_log("careless")
    careful = own.job_end("careful")
    assert careful["TrainingJobStatus"] == "Completed", careful.get("FailureReason")
    assert [entry["Status"] for entry in careful["SecondaryStatusTransitions"]] == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert own.model_of("careful") == {"m.txt": "epoch 7"}
    until(lambda: not instances(own.cloud.home), "no process is left")


def test_while_an_endpoint_serves(own: Account) -> None:
    own.deploy("steady", count=2)
    own.in_service("steady")
    assert own.invoke("steady")["model"] == "steady"
    before = instances(own.cloud.home)
    assert len(set(before.values())) == 2
    created = own.endpoint("steady")["CreationTime"]
    own.cloud.kill()
    own.cloud.start()
    # The first request after the start waits for a replica.
    assert own.invoke("steady")["model"] == "steady"
    endpoint = own.endpoint("steady")
    assert (endpoint["EndpointStatus"], endpoint["CreationTime"]) == ("InService", created)
    assert not [pid for pid in before if pid in instances(own.cloud.home)]
    folders = {path.name for path in (own.cloud.home / "instances" / "hosting").iterdir()}
    assert folders.isdisjoint(Path(mark).name for mark in before.values())
    own.delete_endpoint("steady")
    assert instances(own.cloud.home) == {}


def test_while_an_endpoint_is_created(own: Account) -> None:
    own.deploy("early")
    own.cloud.kill()
    own.cloud.start()
    own.in_service("early")
    assert own.invoke("early")["model"] == "early"
    own.delete_endpoint("early")


def test_identities_survive(own: Account) -> None:
    """Shells that have the credentials of `fogbank env` go on working."""
    before = own.cloud.environment()
    own.cloud.kill()
    own.cloud.start()
    assert own.cloud.environment() == before
    assert own.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert (own.cloud.home / "credentials.json").stat().st_mode & 0o077 == 0
