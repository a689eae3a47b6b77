"""Tuning with version 3."""

import sys

import outside
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

source, pictures = sys.argv[1:]
trainer = ModelTrainer(
    training_image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312",
    source_code=SourceCode(source_dir=source, entry_script="train.py"),
    compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
    hyperparameters={"epochs": 1},
    base_job_name="v3-trial",
)
tuner = HyperparameterTuner(
    trainer,
    "loss",
    {
        "lr": ContinuousParameter(0.01, 0.1),
        "batch-size": CategoricalParameter(["32", "64"]),
    },
    [{"Name": "loss", "Regex": "Testing Loss: ([0-9\\.]+)"}],
    objective_type="Minimize",
    max_jobs=2,
    max_parallel_jobs=2,
    base_tuning_job_name="v3-tuning",
)
inputs = Session().upload_data(pictures, key_prefix="tuning")
tuner.tune([InputData(channel_name="training", data_source=inputs)], wait=True)
trials = tuner.analytics().dataframe()
outside.tell(
    status=tuner.describe().hyper_parameter_tuning_job_status,
    best=tuner.best_training_job(),
    trials=trials.drop(columns=["TrainingStartTime", "TrainingEndTime"]).to_dict("records"),
)
