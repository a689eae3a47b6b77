"""Version 2 without waiting; failing; deploying what was trained without a model of its own."""

import sys

import outside
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.pytorch import PyTorch
from sagemaker.serializers import JSONSerializer

source, pictures = sys.argv[1:]
session = sagemaker.Session()
inputs = {"training": session.upload_data(pictures, key_prefix="later")}


def estimator(entry_point: str, **settings: object) -> PyTorch:
    return PyTorch(
        entry_point=entry_point,
        source_dir=source,
        role=sagemaker.get_execution_role(),
        base_job_name="v2-later",
        instance_count=1,
        instance_type="ml.m5.xlarge",
        framework_version="2.6.0",
        py_version="py312",
        **settings,
    )


trained = estimator("train.py", hyperparameters={"epochs": 1})
trained.fit(inputs, wait=False)
name = trained.latest_training_job.job_name
at_once = trained.model_data
trained.latest_training_job.wait(logs=False)

failing = estimator("fails.py")
try:
    failing.fit(inputs, wait=True, logs=True)
    reason = ""
except UnexpectedStatusException as error:
    reason = str(error)

stopped = estimator("train.py", hyperparameters={"epochs": 1, "seconds": 300})
stopped.fit(inputs, wait=False)
session.stop_training_job(stopped.latest_training_job.job_name)
stopped.latest_training_job.wait(logs=False)

deployed = trained.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    entry_point="inference.py",
    serializer=JSONSerializer(),
    deserializer=JSONDeserializer(),
)
heard = deployed.predict({"url": "dog"})
deployed.delete_model()
deployed.delete_endpoint()

outside.tell(
    name=name,
    at_once=at_once,
    status=trained.latest_training_job.describe()["TrainingJobStatus"],
    reason=reason,
    stopped=stopped.latest_training_job.describe()["TrainingJobStatus"],
    heard=heard,
)
