"""A cloud around TrainingJobs, in memory: what tests of training need."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fogbank.cloud.context import Principal
from fogbank.cloud.machines.engine import Engine
from fogbank.cloud.machines.image_map import ImageMap
from fogbank.cloud.machines.placement import Strategy
from fogbank.cloud.machines.shares import Host, Shares
from fogbank.cloud.machines.site import Site
from fogbank.cloud.machines.training import TrainingJobs
from fogbank.cloud.ports import Datum, LogEvent, SessionCredentials, SigningKey, StoredObject
from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.rules.training_job import first_transition, stop
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.records import SqliteRecords
from fogbank.core.arn import Scope
from fogbank.core.clock import Clock

ROLE = "arn:aws:iam::123456789012:role/train"


class FolderObjects:
    """Objects as files of one folder: what machines may ask of S3."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self.buckets: dict[str, dict[str, StoredObject]] = {}
        self.put_error: OSError | None = None
        folder.mkdir(parents=True)

    def _bucket(self, name: str) -> dict[str, StoredObject]:
        if name not in self.buckets:
            raise LookupError(f"bucket {name} does not exist")
        return self.buckets[name]

    def add(self, bucket: str, key: str, content: bytes) -> StoredObject:
        path = self._folder / hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        stored = StoredObject(
            bucket, key, len(content), hashlib.sha256(content).hexdigest(), self._clock.now(), path
        )
        self.buckets.setdefault(bucket, {})[key] = stored
        return stored

    def content(self, bucket: str, key: str) -> bytes:
        return self.buckets[bucket][key].path.read_bytes()

    def stat(self, bucket: str, key: str) -> StoredObject | None:
        return self._bucket(bucket).get(key)

    def list(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        found = self._bucket(bucket)
        return iter([found[key] for key in sorted(found) if key.startswith(prefix)])

    async def put_file(
        self, bucket: str, key: str, source: Path, *, content_type: str = "binary/octet-stream"
    ) -> StoredObject:
        self._bucket(bucket)
        if self.put_error is not None:
            raise self.put_error
        return self.add(bucket, key, source.read_bytes())

    async def read(self, bucket: str, key: str) -> bytes:
        return self._bucket(bucket)[key].path.read_bytes()


class MemoryLogs:
    """A LogSink that remembers."""

    def __init__(self) -> None:
        self.streams: dict[tuple[str, str], list[LogEvent]] = defaultdict(list)
        self.num_appends = 0

    def append(self, group: str, stream: str, events: Sequence[LogEvent]) -> None:
        self.num_appends += 1
        self.streams[group, stream] += events

    @property
    def lines(self) -> list[str]:
        return [event.message for events in self.streams.values() for event in events]


@dataclass(frozen=True)
class MemorySeries:
    """Remembers in the sink that it belongs to."""

    sink: MemoryMetrics
    namespace: str
    pattern: Datum

    def add(self, value: float, at_s: int) -> None:
        at = datetime.fromtimestamp(at_s, UTC)
        self.sink.record(self.namespace, [replace(self.pattern, value=value, at=at)])


class MemoryMetrics:
    """A MetricSink that remembers."""

    def __init__(self) -> None:
        self.data: list[tuple[str, Datum]] = []

    def record(self, namespace: str, data: Sequence[Datum]) -> None:
        self.data += [(namespace, datum) for datum in data]

    def series(
        self,
        namespace: str,
        name: str,
        unit: str,
        dimensions: Mapping[str, str],
        *,
        storage_resolution_s: int = 60,
    ) -> MemorySeries:
        return MemorySeries(
            self,
            namespace,
            Datum(
                name,
                0,
                datetime.fromtimestamp(0, UTC),
                unit,
                dimensions,
                storage_resolution_s=storage_resolution_s,
            ),
        )


class OneRole:
    """A Keyring of one role."""

    def find(self, access_key_id: str) -> SigningKey | None:
        return None

    def note_use(self, access_key_id: str, service: str, now: datetime) -> None:
        raise AssertionError("machines sign nothing")

    def issue_role_session(
        self, role_arn: str, session_name: str, *, duration_s: int, now: datetime
    ) -> SessionCredentials:
        if role_arn != ROLE:
            raise LookupError(role_arn)
        principal = Principal(
            f"arn:aws:sts::123456789012:assumed-role/train/{session_name}",
            "123456789012",
            f"AROA:{session_name}",
            "role-session",
            role_arn,
        )
        return SessionCredentials(
            "ASIATEST", "secret", "token", now + timedelta(seconds=duration_s), principal
        )


class TrainingSite:
    """TrainingJobs with everything it needs; `folder` is the cloud's home."""

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        clock: Clock,
        strategy: Strategy = "copy",
        *,
        memory_bytes: int = 4 << 30,
    ) -> None:
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        self.clock = clock
        self.engine = engine
        self.records = SqliteRecords(Database(":memory:"))
        self.objects = FolderObjects(self.home / "objects", clock)
        self.objects.buckets["out"] = {}
        self.logs = MemoryLogs()
        self.metrics = MemoryMetrics()
        self.site = Site(
            engine=engine,
            objects=self.objects,
            logs=self.logs,
            keyring=OneRole(),
            clock=clock,
            shares=Shares(Host((0,), memory_bytes)),
            images=ImageMap(search_path="/usr/bin:/bin"),
            home=self.home,
            endpoint_url="http://127.0.0.1:4566",
            scope=Scope(),
            strategy=strategy,
        )
        self.jobs = self.new_jobs()
        self._written = asyncio.Event()
        self.records.subscribe(TrainingJob, lambda _: self._written.set())

    def new_jobs(self) -> TrainingJobs:
        """TrainingJobs of a cloud that was started (again) with the same home."""
        return TrainingJobs(self.records, self.metrics, self.site)

    def create(self, name: str = "dogs", **request: Any) -> TrainingJob:
        """What CreateTrainingJob writes; `request` goes over a small default."""
        now = self.clock.now()
        job = TrainingJob(
            name=name,
            arn=Scope().arn("sagemaker", f"training-job/{name}"),
            request={
                "RoleArn": ROLE,
                "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "image"},
                "OutputDataConfig": {"S3OutputPath": "s3://out/jobs/"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
                **request,
            },
            status="InProgress",
            secondary_status="Starting",
            transitions=first_transition(now),
            created=now,
            modified=now,
            model_artifacts=f"s3://out/jobs/{name}/output/model.tar.gz",
        )
        self.records.put(job)
        return job

    def runs(self, script: str, **request: Any) -> TrainingJob:
        """A job whose container runs a shell script, with /opt/ml as its working directory."""
        algorithm = {
            "TrainingInputMode": "File",
            "TrainingImage": "image",
            "ContainerEntrypoint": ["/bin/sh", "-c"],
            "ContainerArguments": [script],
            **request.pop("AlgorithmSpecification", {}),
        }
        return self.create(AlgorithmSpecification=algorithm, **request)

    def job(self, name: str = "dogs") -> TrainingJob:
        found = self.records.get(TrainingJob, name)
        assert found is not None
        return found

    def stop(self, name: str = "dogs") -> None:
        """What StopTrainingJob writes."""
        self.records.put(stop(self.job(name), self.clock.now()))

    async def until(self, *statuses: str, name: str = "dogs") -> TrainingJob:
        """Wait until the job has one of these (secondary) statuses."""
        while not {self.job(name).status, self.job(name).secondary_status} & set(statuses):
            self._written.clear()
            await self._written.wait()
        return self.job(name)

    async def end(self, name: str = "dogs") -> TrainingJob:
        return await self.until("Completed", "Failed", "Stopped", name=name)


def strategy_of(engine: Engine) -> Strategy:
    return "mount" if engine.can_mount else "copy"


async def eventually(true: Callable[[], bool], limit_s: float = 10) -> None:
    """Wait for something that a real process does."""
    async with asyncio.timeout(limit_s):
        while not true():  # noqa: ASYNC110 - a process in the world outside sets no event
            await asyncio.sleep(0.01)
