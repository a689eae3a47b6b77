"""The resources of version 3, each made by itself, and the end of a job that fails."""

import json
import sys

import outside
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import (
    AlgorithmSpecification,
    ContainerDefinition,
    OutputDataConfig,
    ProductionVariant,
    ResourceConfig,
    StoppingCondition,
)
from sagemaker.core.utils.exceptions import FailedStatusError

code, archive = sys.argv[1:]
IMAGES = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
session = Session()
role = get_execution_role()
bucket = session.default_bucket()


def job(name: str, program: str) -> TrainingJob:
    return TrainingJob.create(
        training_job_name=name,
        role_arn=role,
        algorithm_specification=AlgorithmSpecification(
            training_image=f"{IMAGES}/pytorch-training:2.6.0-cpu-py312", training_input_mode="File"
        ),
        hyper_parameters={
            "sagemaker_program": program,
            "sagemaker_submit_directory": session.upload_data(code, key_prefix="v3-code"),
        },
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/v3-resources"),
        resource_config=ResourceConfig(
            instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=1
        ),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=300),
    )


failing = job("v3-fails", "fails.py")
try:
    failing.wait(logs=True)
    reason = ""
except FailedStatusError as error:
    reason = str(error)
stopping = job("v3-stopped", "sleeps.py")
stopping.stop()
stopping.wait()

model = Model.create(
    model_name="v3-resources",
    execution_role_arn=role,
    primary_container=ContainerDefinition(
        image=f"{IMAGES}/pytorch-inference:2.6.0-cpu-py312",
        model_data_url=session.upload_data(archive, key_prefix="v3-model"),
    ),
)
config = EndpointConfig.create(
    endpoint_config_name="v3-resources",
    production_variants=[
        ProductionVariant(
            variant_name="AllTraffic",
            model_name=model.model_name,
            initial_instance_count=1,
            instance_type="ml.m5.large",
            initial_variant_weight=1.0,
        )
    ],
)
endpoint = Endpoint.create(
    endpoint_name="v3-resources", endpoint_config_name=config.endpoint_config_name
)
endpoint.wait_for_status("InService")
heard = endpoint.invoke(body=json.dumps({"url": "dog"}), content_type="application/json")
variants = [variant.current_instance_count for variant in endpoint.production_variants]
endpoint.delete()
endpoint.wait_for_delete()
config.delete()
model.delete()
outside.tell(
    reason=reason,
    stopped=TrainingJob.get("v3-stopped").training_job_status,
    heard=json.loads(heard.body.read()),
    variants=variants,
    left=[found.endpoint_name for found in Endpoint.get_all()],
)
