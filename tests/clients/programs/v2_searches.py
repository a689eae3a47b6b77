"""Searches that build on each other with version 2: warm starts, several definitions, Hyperband."""

import sys

import outside
import sagemaker
from sagemaker.pytorch import PyTorch
from sagemaker.tuner import (
    ContinuousParameter,
    HyperbandStrategyConfig,
    HyperparameterTuner,
    StrategyConfig,
)

source, pictures = sys.argv[1:]
session = sagemaker.Session()
inputs = {"training": session.upload_data(pictures, key_prefix="searches")}
METRICS = [{"Name": "loss", "Regex": "Testing Loss: ([0-9\\.]+)"}]
RATE = {"lr": ContinuousParameter(0.01, 0.1, scaling_type="ReverseLogarithmic")}


def estimator() -> PyTorch:
    return PyTorch(
        entry_point="train.py",
        source_dir=source,
        role=sagemaker.get_execution_role(),
        instance_count=1,
        instance_type="ml.m5.xlarge",
        framework_version="2.6.0",
        py_version="py312",
        hyperparameters={"epochs": 2},
    )


def search(tuner: HyperparameterTuner, name: str) -> dict[str, object]:
    # The SDK's own names differ by the minute alone.
    several = tuner.estimator is None
    data = dict.fromkeys(tuner.estimator_dict, inputs) if several else inputs
    metadata = dict.fromkeys(tuner.estimator_dict, False) if several else False
    tuner.fit(data, job_name=name, include_cls_metadata=metadata)
    job = tuner.describe()
    overall = job.get("OverallBestTrainingJob", {})
    return {
        "status": job["HyperParameterTuningJobStatus"],
        "num_trials": sum(job["TrainingJobStatusCounters"].values()),
        "best": tuner.best_training_job(),
        "overall_best_of": overall.get("TuningJobName"),
        "definition": job["BestTrainingJob"].get("TrainingJobDefinitionName"),
        "tags": session.sagemaker_client.list_tags(ResourceArn=job["HyperParameterTuningJobArn"])[
            "Tags"
        ],
    }


parent = HyperparameterTuner(
    estimator(),
    "loss",
    RATE,
    METRICS,
    objective_type="Minimize",
    max_jobs=2,
    max_parallel_jobs=2,
    tags=[{"Key": "team", "Value": "dogs"}],
)
told = {"parent": search(parent, "searches-parent")}
for name, tuner in {
    "identical": parent.identical_dataset_and_algorithm_tuner(),
    "transfer": parent.transfer_learning_tuner(estimator=estimator()),
}.items():
    tuner.metric_definitions = METRICS  # the SDK does not take them over
    told[name] = search(tuner, f"searches-{name}")

several = HyperparameterTuner.create(
    estimator_dict={"low": estimator(), "high": estimator()},
    objective_metric_name_dict={"low": "loss", "high": "loss"},
    hyperparameter_ranges_dict={
        "low": {"lr": ContinuousParameter(0.01, 0.02)},
        "high": {"lr": ContinuousParameter(0.2, 0.3)},
    },
    metric_definitions_dict={"low": METRICS, "high": METRICS},
    objective_type="Minimize",
    max_jobs=4,
    max_parallel_jobs=2,
)
told["several"] = search(several, "searches-several")
trials = several.analytics().dataframe()

hyperband = HyperparameterTuner(
    estimator(),
    "loss",
    RATE,
    METRICS,
    strategy="Hyperband",
    strategy_config=StrategyConfig(HyperbandStrategyConfig(min_resource=1, max_resource=2)),
    objective_type="Minimize",
    max_jobs=3,
    max_parallel_jobs=3,
)
told["hyperband"] = search(hyperband, "searches-hyperband")
outside.tell(
    searches=told,
    rates={name: sorted(rows["lr"]) for name, rows in trials.groupby("TrainingJobDefinitionName")},
    best_estimator=several.best_estimator().latest_training_job.name,
)
