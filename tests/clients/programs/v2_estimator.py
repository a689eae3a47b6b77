"""The notebook of the usual project with version 2: train with debugger rules, read, deploy."""

import sys
from pathlib import Path

import outside
import sagemaker
from sagemaker.debugger import (
    CollectionConfig,
    DebuggerHookConfig,
    FrameworkProfile,
    ProfilerConfig,
    ProfilerRule,
    Rule,
    rule_configs,
)
from sagemaker.deserializers import JSONDeserializer
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorch, PyTorchModel
from sagemaker.serializers import IdentitySerializer, JSONSerializer

source, pictures, picture = sys.argv[1:]
session = sagemaker.Session()
bucket = session.default_bucket()
role = sagemaker.get_execution_role()
inputs = session.upload_data(pictures, bucket=bucket, key_prefix="pictures")

estimator = PyTorch(
    entry_point="train.py",
    source_dir=source,
    role=role,
    base_job_name="v2",
    instance_count=1,
    instance_type="ml.m5.xlarge",
    framework_version="1.4.0",
    py_version="py3",
    hyperparameters={"epochs": 3, "lr": "0.02", "seconds": 6},
    metric_definitions=[{"Name": "loss", "Regex": "Testing Loss: ([0-9.]+)"}],
    rules=[
        Rule.sagemaker(rule_configs.vanishing_gradient()),
        Rule.sagemaker(rule_configs.overfit()),
        Rule.sagemaker(rule_configs.poor_weight_initialization()),
        ProfilerRule.sagemaker(rule_configs.ProfilerReport()),
    ],
    debugger_hook_config=DebuggerHookConfig(
        hook_parameters={"train.save_interval": "100", "eval.save_interval": "10"},
        collection_configs=[
            CollectionConfig(name="gradients", parameters={"save_interval": "500"})
        ],
    ),
    profiler_config=ProfilerConfig(
        system_monitor_interval_millis=500, framework_profile_params=FrameworkProfile()
    ),
)
estimator.fit({"training": inputs}, wait=True, logs=True)
name = estimator.latest_training_job.job_name
description = estimator.latest_training_job.describe()
attached = PyTorch.attach(name)
metrics = estimator.training_job_analytics.dataframe()

model = PyTorchModel(
    model_data=estimator.model_data,
    role=role,
    entry_point="inference.py",
    source_dir=source,
    framework_version="1.4.0",
    py_version="py3",
)
deployed = model.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    serializer=IdentitySerializer("image/jpeg"),
    deserializer=JSONDeserializer(),
)
seen = deployed.predict(Path(picture).read_bytes())
speaker = Predictor(deployed.endpoint_name, session, JSONSerializer(), JSONDeserializer())
heard = speaker.predict({"url": "https://example.com/dog.jpg"})
deployed.delete_model()
deployed.delete_endpoint()

client = session.sagemaker_client
outside.tell(
    bucket=bucket,
    role=role,
    name=name,
    status=description["TrainingJobStatus"],
    rules=[
        (status["RuleConfigurationName"], status["RuleEvaluationStatus"])
        for kind in ("DebugRuleEvaluationStatuses", "ProfilerRuleEvaluationStatuses")
        for status in description[kind]
    ],
    model_data=estimator.model_data,
    attached=attached.latest_training_job.job_name,
    hyperparameters=attached.hyperparameters(),
    metrics=metrics.to_dict("records"),
    seen=seen,
    heard=heard,
    left={
        "models": len(client.list_models()["Models"]),
        "endpoints": len(client.list_endpoints()["Endpoints"]),
        "configs": len(client.list_endpoint_configs()["EndpointConfigs"]),
    },
)
