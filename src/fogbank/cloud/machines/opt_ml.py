"""/opt/ml of a training instance: its folders and the configuration files in them.

In: a TrainingJob and the number of an instance. Out: a folder as the container contract describes
it (developer guide, "How Amazon SageMaker Provides Training Information").
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fogbank.cloud.records.training_job import TrainingJob

ROOT = Path("/opt/ml")
"""Where programs look for it, on hosts that can show it there."""

_GROUP = "homogeneousCluster"
_FOLDERS = ("input/config", "input/data", "model", "output/data", "code", "checkpoints")
DRIVERS = "sm_drivers"
"""The channel in which the SageMaker SDK's version 3 sends the scripts that start a program. They
name /opt/ml themselves."""

_TORCHRUN_DRIVER = "torchrun_driver.py"
_MASTER = re.compile(r"os\.environ\[(['\"])SM_MASTER_(ADDR|PORT)\1\]")

_OPT_ML = re.compile(r"(?<![\w.~-])/opt/ml(?![\w.-])")


def host_name(instance: int) -> str:
    """The name of instance number `instance`, from 0: `algo-1` is the first."""
    return f"algo-{instance + 1}"


def instance_type(job: TrainingJob) -> str:
    """What the job wants its instances to be; of several groups, the first one's."""
    config = job.request.get("ResourceConfig", {})
    groups: Sequence[Mapping[str, Any]] = config.get("InstanceGroups") or [{}]
    return str(config.get("InstanceType") or groups[0].get("InstanceType", "local"))


def input_data_config(job: TrainingJob) -> dict[str, Any]:
    """inputdataconfig.json."""
    default_mode = job.request.get("AlgorithmSpecification", {}).get("TrainingInputMode", "File")
    return {
        channel["ChannelName"]: {
            "TrainingInputMode": channel.get("InputMode", default_mode),
            "S3DistributionType": channel.get("DataSource", {})
            .get("S3DataSource", {})
            .get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
        }
        for channel in job.request.get("InputDataConfig", ())
    }


def resource_config(job: TrainingJob, instance: int, interface: str) -> dict[str, Any]:
    """resourceconfig.json of one instance; interface: see `create`."""
    hosts = [host_name(number) for number in range(job.instance_count)]
    kind = instance_type(job)
    return {
        "current_host": host_name(instance),
        "current_instance_type": kind,
        "current_group_name": _GROUP,
        "hosts": hosts,
        "instance_groups": [{"instance_group_name": _GROUP, "instance_type": kind, "hosts": hosts}],
        "network_interface_name": interface,
    }


def create(base: Path, job: TrainingJob, instance: int, interface: str) -> None:
    """Make the folders below `base` and write the configuration files.

    interface: the network interface over which the instances reach each other: process groups bind
               to it. SageMaker's is eth0.
    """
    for name in _FOLDERS:
        (base / name).mkdir(parents=True, exist_ok=True)
    documents: dict[str, Mapping[str, Any]] = {
        "hyperparameters": job.request.get("HyperParameters", {}),
        "inputdataconfig": input_data_config(job),
        "resourceconfig": resource_config(job, instance, interface),
    }
    for name, document in documents.items():
        (base / f"input/config/{name}.json").write_text(json.dumps(document))
    for channel in job.request.get("InputDataConfig", ()):
        (base / "input/data" / channel["ChannelName"]).mkdir(exist_ok=True)


def rewrite(argument: str, base: Path) -> str:
    """An argument of a container's command with /opt/ml replaced by where it really is."""
    return _OPT_ML.sub(str(base).replace("\\", r"\\"), argument)


def adapt_drivers(folder: Path, *, base: Path | None, shared_network: bool) -> None:
    """Make an instance's own copy of the driver scripts fit this host.

    base:           where /opt/ml is, for instances that have no real one.
    shared_network: whether there are other instances, on the host's network. The driver of torchrun
                    then goes to the address and the port that the machine holds for the job
                    (`rendezvous`), not to port 7777 of algo-1.
    """
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        changed = text if base is None else rewrite(text, base)
        if shared_network and path.name == _TORCHRUN_DRIVER:
            changed = _MASTER.sub(r"os.environ[\1FOGBANK_MASTER_\2\1]", changed)
        if changed != text:
            path.write_text(changed, encoding="utf-8")


def submit_archive(job: TrainingJob) -> str | None:
    """The s3:// URI of the user's code, where the toolkit style has one. The SDK's version 2 sends
    hyperparameters as JSON, version 3 as they are."""
    value = job.request.get("HyperParameters", {}).get("sagemaker_submit_directory", "")
    try:
        decoded = json.loads(value)
    except ValueError:
        decoded = value
    return decoded if isinstance(decoded, str) and decoded.startswith("s3://") else None
