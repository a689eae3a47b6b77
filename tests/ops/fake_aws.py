"""A cloud in memory, as far as `fogbank.ops` uses one: S3, IAM, SageMaker and its logs.

Jobs end and endpoints come up the second time that somebody looks. `fail_jobs` and
`fail_endpoints` make them fail.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fogbank.aws import Aws, Credentials
from fogbank.core.clock import Clock
from fogbank.ops.search import Search
from fogbank.ops.step import Step
from fogbank.ops.world import World
from ops.fake_hosting import FakeHosting
from ops.fake_lambda import FakeLambda
from ops.fake_log_groups import FakeLogGroups
from ops.fake_scaling import FakeScaling
from ops.fake_tuning import FakeTuningJobs
from ops.paginator import Paginator
from ops.refusal import refusal as refusal


def model_archive() -> bytes:
    """What a training job leaves; a code folder in it has to give way to the project's."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in (("model.safetensors", b"weights"), ("code/old.py", b"old")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), mtime=0)


class FakeService:
    def __init__(self, aws: FakeAws) -> None:
        self.aws = aws

    def get_paginator(self, operation: str) -> Paginator:
        return Paginator(getattr(self, operation))


class FakeS3(FakeService):
    def __init__(self, aws: FakeAws) -> None:
        super().__init__(aws)
        self.buckets: dict[str, dict[str, bytes]] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}
        self.blocks: dict[str, dict[str, bool]] = {}
        self.num_puts = 0
        self._lock = threading.Lock()

    def _objects(self, bucket: str) -> dict[str, bytes]:
        if bucket not in self.buckets:
            raise refusal("S3", "NoSuchBucket")
        return self.buckets[bucket]

    def head_bucket(self, *, Bucket: str, ExpectedBucketOwner: str) -> None:
        assert ExpectedBucketOwner == self.aws.account
        if Bucket not in self.buckets:
            raise refusal("HeadBucket", "404", "Not Found")

    def create_bucket(self, *, Bucket: str, **rest: Any) -> None:
        assert self.aws.region == "us-east-1" or rest["CreateBucketConfiguration"]
        self.buckets[Bucket] = {}

    def delete_bucket(self, *, Bucket: str) -> None:
        if self._objects(Bucket):
            raise refusal("DeleteBucket", "BucketNotEmpty")
        del self.buckets[Bucket]

    def put_public_access_block(
        self, *, Bucket: str, PublicAccessBlockConfiguration: dict[str, bool]
    ) -> None:
        self.blocks[Bucket] = PublicAccessBlockConfiguration

    def get_public_access_block(self, *, Bucket: str) -> dict[str, Any]:
        if Bucket not in self.blocks:
            raise refusal("GetPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration")
        return {"PublicAccessBlockConfiguration": self.blocks[Bucket]}

    def put_bucket_tagging(self, *, Bucket: str, Tagging: dict[str, Any]) -> None:
        self.tags[Bucket] = Tagging["TagSet"]

    def get_bucket_tagging(self, *, Bucket: str) -> dict[str, Any]:
        if Bucket not in self.tags:
            raise refusal("GetBucketTagging", "NoSuchTagSet")
        return {"TagSet": self.tags[Bucket]}

    def put_object(self, *, Bucket: str, Key: str, Body: Any, ContentType: str) -> None:
        content = Body if isinstance(Body, bytes) else Body.read()
        with self._lock:
            self.num_puts += 1
            self._objects(Bucket)[Key] = content

    def upload_fileobj(
        self, body: Any, bucket: str, key: str, *, ExtraArgs: Mapping[str, str]
    ) -> None:
        self._objects(bucket)[key] = body.read()

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self._objects(Bucket):
            raise refusal("HeadObject", "404", "Not Found")
        return {"ContentLength": len(self._objects(Bucket)[Key])}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self._objects(Bucket)[Key])}

    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> dict[str, Any]:
        return {
            "Contents": [
                {"Key": key, "Size": len(content), "ETag": f'"{_md5(content)}"'}
                for key, content in self._objects(Bucket).items()
                if key.startswith(Prefix)
            ]
        }

    def list_object_versions(self, *, Bucket: str) -> dict[str, Any]:
        return {"Versions": [{"Key": key, "VersionId": "null"} for key in self._objects(Bucket)]}

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        assert 0 < len(Delete["Objects"]) <= 1000
        for item in Delete["Objects"]:
            self._objects(Bucket).pop(item["Key"])
        return {}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class FakeIam(FakeService):
    def __init__(self, aws: FakeAws) -> None:
        super().__init__(aws)
        self.roles: dict[str, dict[str, Any]] = {}

    def _role(self, name: str) -> dict[str, Any]:
        if name not in self.roles:
            raise refusal("GetRole", "NoSuchEntity")
        return self.roles[name]

    def create_role(
        self,
        *,
        RoleName: str,
        AssumeRolePolicyDocument: str,
        Description: str,
        Tags: list[dict[str, str]],
    ) -> None:
        if RoleName in self.roles:
            raise refusal("CreateRole", "EntityAlreadyExists")
        self.roles[RoleName] = {
            "trust": json.loads(AssumeRolePolicyDocument),
            "tags": Tags,
            "inline": {},
        }

    def get_role(self, *, RoleName: str) -> dict[str, Any]:
        role = self._role(RoleName)
        return {"Role": {"AssumeRolePolicyDocument": role["trust"], "Tags": role["tags"]}}

    def list_roles(self) -> dict[str, Any]:
        return {"Roles": [{"RoleName": name} for name in self.roles]}

    def list_role_policies(self, *, RoleName: str) -> dict[str, Any]:
        return {"PolicyNames": list(self._role(RoleName)["inline"])}

    def list_attached_role_policies(self, *, RoleName: str) -> dict[str, Any]:
        assert self._role(RoleName)
        return {"AttachedPolicies": []}

    def get_role_policy(self, *, RoleName: str, PolicyName: str) -> dict[str, Any]:
        return {"PolicyDocument": self._role(RoleName)["inline"][PolicyName]}

    def update_assume_role_policy(self, *, RoleName: str, PolicyDocument: str) -> None:
        self._role(RoleName)["trust"] = json.loads(PolicyDocument)

    def put_role_policy(self, *, RoleName: str, PolicyName: str, PolicyDocument: str) -> None:
        self._role(RoleName)["inline"][PolicyName] = json.loads(PolicyDocument)

    def tag_role(self, *, RoleName: str, Tags: list[dict[str, str]]) -> None:
        self._role(RoleName)["tags"] = Tags

    def delete_role_policy(self, *, RoleName: str, PolicyName: str) -> None:
        del self._role(RoleName)["inline"][PolicyName]

    def delete_role(self, *, RoleName: str) -> None:
        if self._role(RoleName)["inline"]:
            raise refusal("DeleteRole", "DeleteConflict")
        del self.roles[RoleName]


class FakeSageMaker(FakeTuningJobs, FakeHosting, FakeService):
    def __init__(self, aws: FakeAws) -> None:
        super().__init__(aws)
        self.last_message = "Training job completed"

    def create_training_job(self, **request: Any) -> None:
        name = request["TrainingJobName"]
        if name in self.jobs:
            raise refusal("CreateTrainingJob", "ResourceInUse")
        self.jobs[name] = {"request": request, "status": "InProgress", "looks": 0}

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, Any]:
        if TrainingJobName not in self.jobs:
            raise refusal(
                "DescribeTrainingJob", "ValidationException", "Requested resource not found."
            )
        job = self.jobs[TrainingJobName]
        uri = f"{job['request']['OutputDataConfig']['S3OutputPath']}/{TrainingJobName}"
        answer: dict[str, Any] = {
            "TrainingJobStatus": job["status"],
            "SecondaryStatus": "Training" if job["status"] == "InProgress" else job["status"],
            "ModelArtifacts": {"S3ModelArtifacts": f"{uri}/output/model.tar.gz"},
        }
        if job["status"] == "Failed":
            answer["FailureReason"] = "AlgorithmError: it raised, exit code: 1"
        if job["status"] == "Completed":
            answer["FinalMetricDataList"] = [{"MetricName": "test_accuracy", "Value": 0.97}]
            answer["TrainingTimeInSeconds"] = 12
            answer["SecondaryStatusTransitions"] = [
                {"Status": "Uploading", "StatusMessage": "Uploading generated training model"},
                {"Status": "Completed", "StatusMessage": self.last_message},
            ]
        self._move(TrainingJobName, job)
        return answer

    def _move(self, name: str, job: dict[str, Any]) -> None:
        if job["status"] == "Stopping":
            job["status"] = "Stopped"
        elif job["status"] == "InProgress":
            job["looks"] += 1
            if job["looks"] >= 2:
                job["status"] = "Failed" if self.fail_jobs else "Completed"
                if not self.fail_jobs:
                    bucket = job["request"]["OutputDataConfig"]["S3OutputPath"].split("/")[2]
                    key = f"jobs/{name}/output/model.tar.gz"
                    self.aws.fake_s3.buckets[bucket][key] = model_archive()

    def list_training_jobs(
        self, *, NameContains: str = "", StatusEquals: str | None = None
    ) -> dict[str, Any]:
        return {
            "TrainingJobSummaries": [
                {
                    "TrainingJobName": name,
                    "TrainingJobArn": f"arn:aws:sagemaker:r:a:training-job/{name}",
                }
                for name, job in self.jobs.items()
                if NameContains in name and StatusEquals in (None, job["status"])
            ]
        }

    def stop_training_job(self, *, TrainingJobName: str) -> None:
        self.jobs[TrainingJobName]["status"] = "Stopping"

    def list_tags(self, *, ResourceArn: str) -> dict[str, Any]:
        kind, _, name = ResourceArn.rpartition(":")[2].partition("/")
        found: dict[str, Any] = {
            "endpoint": self.endpoints,
            "endpoint-config": self.configs,
            "model": self.models,
            "tuning-job": self.tunings,
            "training-job": {key: job["request"] for key, job in self.jobs.items()},
        }[kind][name]
        return {"Tags": found["Tags"]}


class FakeLogs(FakeService, FakeLogGroups):
    """What containers and functions wrote."""

    def __init__(self, aws: FakeAws) -> None:
        FakeService.__init__(self, aws)
        FakeLogGroups.__init__(self)

    def describe_log_streams(
        self, *, logGroupName: str, logStreamNamePrefix: str = ""
    ) -> dict[str, Any]:
        if logGroupName not in self.groups:
            raise refusal("DescribeLogStreams", "ResourceNotFoundException")
        return {
            "logStreams": [
                {"logStreamName": name, "lastEventTimestamp": len(lines)}
                for name, lines in self.groups[logGroupName].items()
                if name.startswith(logStreamNamePrefix)
            ]
        }

    def get_log_events(
        self,
        *,
        logGroupName: str,
        logStreamName: str,
        nextToken: str = "",
        startFromHead: bool = False,
        limit: int = 3,
    ) -> dict[str, Any]:
        lines = self.groups[logGroupName][logStreamName]
        from_end = not (nextToken or startFromHead)
        start = max(0, len(lines) - limit) if from_end else int(nextToken or 0)
        page = lines[start : start + limit]
        return {
            "events": [{"message": line} for line in page],
            "nextForwardToken": str(start + len(page)),
        }


class Counted:
    """A service whose calls are counted; one of them is followed by Ctrl-C."""

    def __init__(self, aws: FakeAws, service: FakeService | FakeLambda | FakeScaling) -> None:
        self._aws = aws
        self._service = service

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._service, name)

        def call(*arguments: Any, **parameters: Any) -> Any:
            answer = operation(*arguments, **parameters)
            self._aws.num_calls += 1
            if self._aws.num_calls == self._aws.interrupt_after:
                raise KeyboardInterrupt
            return answer

        return call


class FakeAws(Aws):
    """interrupt_after: Ctrl-C is pressed when that call (counted from 1) has been answered."""

    def __init__(self, *, account: str = "123456789012", region: str = "us-east-1") -> None:
        super().__init__(
            url="http://127.0.0.1:1",
            account=account,
            region=region,
            credentials=Credentials(access_key_id="A", secret_access_key="S"),
        )
        self.fake_s3 = FakeS3(self)
        self.fake_iam = FakeIam(self)
        self.fake_sagemaker = FakeSageMaker(self)
        self.fake_logs = FakeLogs(self)
        self.fake_lambda = FakeLambda()
        self.fake_scaling = FakeScaling()
        self.num_calls = 0
        self.interrupt_after: int | None = None

    def client(self, service: str) -> Any:
        services: dict[str, FakeService | FakeLambda | FakeScaling] = {
            "s3": self.fake_s3,
            "iam": self.fake_iam,
            "sagemaker": self.fake_sagemaker,
            "logs": self.fake_logs,
            "lambda": self.fake_lambda,
            "application-autoscaling": self.fake_scaling,
        }
        return Counted(self, services[service])


class RecordedProgress:
    """What was told."""

    def __init__(self) -> None:
        self.begun: list[Step] = []
        self.ended: list[Step] = []
        self.lines: list[str] = []
        self.statuses: list[str] = []
        self.searches: list[Search] = []

    def begin(self, step: Step) -> None:
        self.begun.append(step)

    def advance(self, done: int, total: int, unit: str) -> None:
        assert 0 <= done <= total

    def status(self, text: str) -> None:
        self.statuses.append(text)

    def search(self, found: Search) -> None:
        self.searches.append(found)

    def log(self, line: str) -> None:
        self.lines.append(line)

    def end(self, step: Step, seconds: float) -> None:
        self.ended.append(step)


def fake_world(aws: Aws, progress: RecordedProgress, clock: Clock) -> World:
    return World(aws=aws, progress=progress, clock=clock, pause=lambda seconds: None)


def members(archive: bytes) -> dict[str, bytes]:
    """Name -> contents of a tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as opened:
        found = {}
        for member in opened:
            stream = opened.extractfile(member)
            assert stream is not None
            found[member.name] = stream.read()
        return found


def write_project(folder: Path) -> None:
    """Four pictures (their bytes do not matter here) and the two scripts."""
    for name in ("train/cat/1.jpg", "train/dog/2.jpg", "valid/cat/3.jpg", "test/dog/4.jpg"):
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (folder / "fogbank.yaml").write_text("project: pets\n")
    (folder / "train.py").write_text("print('train')\n")
    (folder / "inference.py").write_text("def model_fn(model_dir): ...\n")
