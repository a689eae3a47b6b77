"""Several instances: do they train one model together, or the same model several times?

Pure: (job, what was seen) -> a sentence, or None. A job whose script never forms a process
group completes, and nothing is wrong with its model; it was only paid for N times. So this is
never an error. Sources: SageMaker Python SDK, `distribution` of its estimators (issue 1110 asks
what happens without); the design note docs/design/several-instances.md.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from fogbank.cloud.records.training_job import TrainingJob
from fogbank.core.training_prices import training_cost

SETTINGS: Mapping[str, str] = {
    "sagemaker_torch_distributed_enabled": "torch_distributed",
    "sagemaker_pytorch_ddp_enabled": "pytorchddp",
    "sagemaker_distributed_dataparallel_enabled": "smdistributed.dataparallel",
    "sagemaker_mpi_enabled": "MPI",
    "sagemaker_pytorch_xla_multi_worker_enabled": "PyTorch XLA",
    "sagemaker_parameter_server_enabled": "parameter servers",
    "sagemaker_multi_worker_mirrored_strategy_enabled": "MultiWorkerMirroredStrategy",
}
"""Hyperparameters by which the SDKs ask for a distribution, and its name there."""

MIN_LOOKS = 10
"""Looks at connections before their absence means anything: a job that was over sooner may have
had a process group between two of them."""

LOST_PEER_PATIENCE_S = 10
"""When an instance fails because another one has gone, how long the job waits for that one's own
words. Two agents on one host notice within a second of each other; a busy host needs more."""

_LOST_PEER = re.compile(
    r"Connection (?:closed|reset) by peer|Broken pipe|recvValue failed|failed to recv"
    r"|Dist(?:Network|Store)Error|RendezvousConnectionError|remote process exited"
    r"|got 0 bytes|Connection was likely closed",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was seen while the instances of a job ran.

    connected:   a process of one instance had a connection to a process of another.
    num_looks:   how often that was looked at while all of them ran.
    models:      what identifies the weights that each instance left; None where it left no model.
    checkpoints: the same of their checkpoints, where no instance left a model.
    """

    connected: bool
    num_looks: int
    models: tuple[str | None, ...]
    checkpoints: tuple[str | None, ...] = ()


def setting_of(job: TrainingJob) -> str | None:
    """The distribution that the job's hyperparameters ask for, by its name in the SDK."""
    sent = job.request.get("HyperParameters", {})
    return next((name for key, name in SETTINGS.items() if _is_on(sent.get(key, ""))), None)


def _is_on(value: str) -> bool:
    """As the training image reads it: what is not JSON is text."""
    try:
        return bool(json.loads(value))
    except ValueError:
        return bool(value)


def notice_at_start(job: TrainingJob) -> str | None:
    """What to say before several instances run a script that nobody told to share the work.

    Only for the toolkit style: a container with an entrypoint of its own has its own launcher.
    """
    algorithm = job.request.get("AlgorithmSpecification", {})
    if job.instance_count < 2 or algorithm.get("ContainerEntrypoint") or setting_of(job):
        return None
    return (
        f"this job has {job.instance_count} instances and no distribution in its hyperparameters: "
        "unless the script forms a process group by itself, each instance trains the same model. "
        f"{_ADVICE}"
    )


_ADVICE = (
    "Set distribution={'torch_distributed': {'enabled': True}} (hyperparameter "
    "sagemaker_torch_distributed_enabled) and use the process group in the script, or ask for one "
    "instance."
)


def copies(job: TrainingJob, seen: Evidence, billed_s: float) -> str | None:
    """What to say of a job whose instances did not work together; None where they did, where
    nobody can know, and where they were given different data (ShardedByS3Key).

    billed_s: how long each instance was paid for, so far.
    """
    count = job.instance_count
    if count < 2 or seen.connected or seen.num_looks < MIN_LOOKS:
        return None
    left = Counter(model for model in seen.models if model is not None)
    kept = Counter(checkpoint for checkpoint in seen.checkpoints if checkpoint is not None)
    alike = max(kept.values(), default=0)
    setting = setting_of(job)
    # A group of a few pictures can live between two looks. Where one was asked for, a model on the
    # first instance alone is how it should be. Checkpoints that differ may be parts of one.
    if (not left and alike < 2) or (setting is not None and left.total() == 1):
        return None
    identical = max(left.values(), default=0)
    if not left:
        what = f"{alike} of {count} instances left no model and identical checkpoints"
        num_alike = alike
    elif identical > 1:
        what, num_alike = f"{identical} of {count} instances trained identical models", identical
    elif _is_sharded(job):
        return None
    elif left.total() > 1:
        what, num_alike = f"{left.total()} instances trained a model each", left.total()
    else:
        what, num_alike = f"only one of {count} instances left a model", count
    seconds = round(billed_s * (num_alike - 1))
    kind = _instance_type(job)
    cost = training_cost(kind, billable_s=seconds)
    waste = f"{seconds} instance-seconds ({seconds / 3600:.2f} h) of {kind} bought nothing: {cost}"
    if setting is None:
        return f"{what}: no process group was formed, and {waste}. {_ADVICE}"
    return (
        f"{what}: {setting} started the script everywhere, but it formed no process group, and "
        f"{waste}. Call torch.distributed.init_process_group() in the script and train with "
        "DistributedDataParallel, or ask for one instance."
    )


def _is_sharded(job: TrainingJob) -> bool:
    return any(
        channel.get("DataSource", {}).get("S3DataSource", {}).get("S3DataDistributionType")
        == "ShardedByS3Key"
        for channel in job.request.get("InputDataConfig", ())
    )


def _instance_type(job: TrainingJob) -> str:
    return str(job.request.get("ResourceConfig", {}).get("InstanceType", "the instance type"))


def is_lost_peer(words: str) -> bool:
    """Whether an instance's last words only say that another one had gone."""
    return _LOST_PEER.search(words) is not None
