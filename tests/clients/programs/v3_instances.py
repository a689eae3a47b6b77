"""Two instances with version 3, which form a process group by the SDK's own torchrun driver."""

import logging
import sys

import outside
from sagemaker.core.resources import TrainingJob
from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.distributed import Torchrun

logging.basicConfig(level=logging.INFO)  # the SDK logs what it reads of the job's log
trainer = ModelTrainer(
    training_image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312",
    source_code=SourceCode(source_dir=sys.argv[1], entry_script="ranks.py"),
    compute=Compute(instance_type="ml.m5.xlarge", instance_count=2),
    distributed=Torchrun(),
    base_job_name="v3-two",
)
trainer.train(wait=True, logs=True)
job = TrainingJob.get(trainer._latest_training_job.training_job_name)
outside.tell(status=job.training_job_status)
