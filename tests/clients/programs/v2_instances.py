"""Two instances with version 2, which form a process group."""

import sys

import boto3
import outside
import sagemaker
from sagemaker.pytorch import PyTorch

source, pictures = sys.argv[1:]
session = sagemaker.Session()
estimator = PyTorch(
    entry_point="ranks.py",
    source_dir=source,
    role=sagemaker.get_execution_role(),
    base_job_name="v2-two",
    instance_count=2,
    instance_type="ml.g4dn.xlarge",
    framework_version="2.6.0",
    py_version="py312",
    distribution={"torch_distributed": {"enabled": True}},
    disable_profiler=True,
    debugger_hook_config=False,
)
estimator.fit({"training": session.upload_data(pictures, key_prefix="two")}, wait=True, logs=True)
name = estimator.latest_training_job.job_name
streams = boto3.client("logs").describe_log_streams(
    logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
)["logStreams"]
outside.tell(
    name=name,
    status=estimator.latest_training_job.describe()["TrainingJobStatus"],
    streams=[stream["logStreamName"].rpartition("-")[0] for stream in streams],
)
