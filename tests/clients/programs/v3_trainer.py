"""Version 3: a role and a bucket of its own choosing, ModelTrainer, ModelBuilder, resources."""

import json
import sys
from pathlib import Path

import outside
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, Model, TrainingJob
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer

source, pictures, picture = sys.argv[1:]
IMAGES = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
session = Session()
bucket = session.default_bucket()
role = get_execution_role()

trainer = ModelTrainer(
    training_image=f"{IMAGES}/pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker",
    source_code=SourceCode(source_dir=source, entry_script="train.py"),
    compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
    hyperparameters={"epochs": 3, "lr": 0.02},
    base_job_name="v3",
)
trainer.train([InputData(channel_name="training", data_source=pictures)], wait=True, logs=True)
name = trainer._latest_training_job.training_job_name
job = TrainingJob.get(name)
listed = [found.training_job_name for found in TrainingJob.get_all()]

builder = ModelBuilder(
    s3_model_data_url=job.model_artifacts.s3_model_artifacts,
    image_uri=f"{IMAGES}/pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker",
    source_code=SourceCode(source_dir=source, entry_script="inference.py"),
    role_arn=role,
    instance_type="ml.m5.large",
)
model = builder.build()
endpoint = builder.deploy(endpoint_name="v3", wait=True)
seen = endpoint.invoke(body=Path(picture).read_bytes(), content_type="image/jpeg")
heard = endpoint.invoke(body=json.dumps({"url": "dog"}), content_type="application/json")
status = Endpoint.get("v3").endpoint_status
endpoint.delete()
endpoint.wait_for_delete()
Model.get(model.model_name).delete()

outside.tell(
    bucket=bucket,
    role=role,
    name=name,
    status=job.training_job_status,
    listed=listed,
    model_data=job.model_artifacts.s3_model_artifacts,
    seen=json.loads(seen.body.read()),
    heard=json.loads(heard.body.read()),
    endpoint=status,
)
