"""Training jobs that say when their script began."""

from __future__ import annotations

import io
import json
import tarfile
import time
from dataclasses import dataclass
from typing import Any

from harness.servers import Server

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
BUCKET = "benchmark-jobs"
_POLL_S = 0.25
_LIMIT_S = 120

SCRIPT = """\
import time
first_line = time.time()
import json, os, sys

def process_started(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - float(open("/proc/uptime").read().split()[0]) + since_boot

began = time.perf_counter()
num_files = sum(len(files) for _, _, files in os.walk(os.environ.get("SM_CHANNEL_TRAIN", "none")))
facts = {
    "first_line": first_line,
    "script_started": process_started("self"),
    "toolkit_started": process_started(os.getppid()),
    "num_files": num_files,
    "count_s": time.perf_counter() - began,
}
print("BENCHMARK " + json.dumps(facts), flush=True)
"""


@dataclass(frozen=True, kw_only=True)
class JobTimes:
    """Seconds after CreateTrainingJob was sent; process starts are exact to 10 ms."""

    answered: float
    downloading: float
    training: float
    toolkit_started: float
    script_started: float
    first_line: float
    num_files: int
    count_s: float


class TimedJobs:
    """Runs one job at a time; the channel `train` is a prefix of BUCKET, which is made here."""

    def __init__(self, cloud: Server) -> None:
        self._sagemaker = cloud.client("sagemaker")
        self._logs = cloud.client("logs")
        self._role = cloud.facts["role"]
        self._num = 0
        self.s3 = cloud.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.put_object(Bucket=BUCKET, Key="code/sourcedir.tar.gz", Body=code_archive())

    def run(self, prefix: str) -> JobTimes:
        """Raises RuntimeError where the job does not complete."""
        self._num += 1
        name = f"timed-{self._num}"
        began = time.time()
        self._sagemaker.create_training_job(**self._request(name, prefix))
        answered = time.time()
        job = self._ended(name)
        facts = self._facts(name)
        since = {
            transition["Status"]: transition["StartTime"].timestamp() - began
            for transition in job["SecondaryStatusTransitions"]
        }
        return JobTimes(
            answered=answered - began,
            downloading=since["Downloading"],
            training=since["Training"],
            toolkit_started=facts["toolkit_started"] - began,
            script_started=facts["script_started"] - began,
            first_line=facts["first_line"] - began,
            num_files=facts["num_files"],
            count_s=facts["count_s"],
        )

    def _request(self, name: str, prefix: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}
        return {
            "TrainingJobName": name,
            "RoleArn": self._role,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "HyperParameters": {
                "sagemaker_program": "script.py",
                "sagemaker_submit_directory": f"s3://{BUCKET}/code/sourcedir.tar.gz",
            },
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": _LIMIT_S},
        }

    def _ended(self, name: str) -> dict[str, Any]:
        limit = time.monotonic() + _LIMIT_S
        while time.monotonic() < limit:
            time.sleep(_POLL_S)  # seldom: asking costs the processors that the job wants
            job: dict[str, Any] = self._sagemaker.describe_training_job(TrainingJobName=name)
            match job["TrainingJobStatus"]:
                case "Completed":
                    return job
                case "Failed" | "Stopped":
                    raise RuntimeError(f"{name}: {job.get('FailureReason', 'was stopped')}")
        raise RuntimeError(f"{name} did not end in {_LIMIT_S} s")

    def _facts(self, name: str) -> dict[str, Any]:
        found = self._logs.filter_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
        )
        for event in found["events"]:
            head, mark, text = event["message"].partition("BENCHMARK ")
            if mark and not head.strip():
                facts: dict[str, Any] = json.loads(text)
                return facts
        raise RuntimeError(f"{name} did not say when it began: {found['events'][-3:]}")


def code_archive() -> bytes:
    """sourcedir.tar.gz with the script."""
    return archive({"script.py": SCRIPT})


def archive(files: dict[str, str]) -> bytes:
    """A .tar.gz of text files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            member.mtime = int(time.time())
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()
