"""Tuning with version 2, as the usual notebook does it."""

import sys

import outside
import sagemaker
from sagemaker.analytics import HyperparameterTuningJobAnalytics
from sagemaker.pytorch import PyTorch
from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner

source, pictures = sys.argv[1:]
session = sagemaker.Session()
estimator = PyTorch(
    entry_point="train.py",
    source_dir=source,
    role=sagemaker.get_execution_role(),
    instance_count=1,
    instance_type="ml.m5.xlarge",
    framework_version="2.6.0",
    py_version="py312",
    hyperparameters={"epochs": 1},
)
tuner = HyperparameterTuner(
    estimator,
    "average test loss",
    {
        "lr": ContinuousParameter(0.01, 0.1),
        "batch-size": CategoricalParameter(["32", "64"]),
    },
    [{"Name": "average test loss", "Regex": "Testing Loss: ([0-9\\.]+)"}],
    max_jobs=3,
    max_parallel_jobs=2,
    objective_type="Minimize",
    base_tuning_job_name="v2-tuning",
)
tuner.fit({"training": session.upload_data(pictures, key_prefix="tuning")}, wait=True)
name = tuner.latest_tuning_job.name
best = tuner.best_estimator()
trials = HyperparameterTuningJobAnalytics(name).dataframe()
attached = HyperparameterTuner.attach(name)
outside.tell(
    status=tuner.describe()["HyperParameterTuningJobStatus"],
    best=tuner.best_training_job(),
    attached=attached.best_training_job(),
    model_data=best.model_data,
    trials=trials.drop(columns=["TrainingStartTime", "TrainingEndTime"]).to_dict("records"),
)
