"""The `SM_*` environment of the user's script. In: a Job. Out: a dict of variables. Pure.

The set, the names and the quirks are the training toolkit's: SM_INSTANCE_GROUPS is a list of
names, SM_TRAINING_ENV the whole as JSON, SM_MODULE_DIR what was submitted (not where it lies).
"""

from __future__ import annotations

from typing import Any

from fogbank.images.training.contract import Job
from fogbank.images.training.rendering import to_arguments, to_variables

_DEFAULT_GROUP = "homogeneousCluster"
_DISTRIBUTIONS = (
    "sagemaker_parameter_server_enabled",
    "sagemaker_mpi_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
)


def training_environment(job: Job) -> dict[str, Any]:
    """The job under the names that the toolkit gives its parts (SM_TRAINING_ENV)."""
    resources = job.resource_config
    folders = job.folders
    group = resources.get("current_group_name", _DEFAULT_GROUP)
    groups = {each["instance_group_name"]: each for each in resources.get("instance_groups", [])}
    distributed = _distribution_groups(job, group)
    distribution_hosts = (
        [host for name in groups if name in distributed for host in groups[name]["hosts"]]
        if groups
        else job.hosts
    )
    master = (distribution_hosts or job.hosts)[0]
    program = job.program
    return {
        "additional_framework_parameters": dict(job.framework_parameters),
        "channel_input_dirs": {
            name: str(folders.input / "data" / name) for name in job.input_data_config
        },
        "current_host": job.current_host,
        "current_instance_group": group,
        "current_instance_group_hosts": groups[group]["hosts"] if group in groups else [],
        "current_instance_type": resources.get("current_instance_type", "local"),
        "distribution_hosts": distribution_hosts,
        "distribution_instance_groups": distributed,
        "framework_module": job.environ.get("SAGEMAKER_TRAINING_MODULE"),
        "hosts": job.hosts,
        "hyperparameters": dict(job.hyperparameters),
        "input_config_dir": str(folders.input_config),
        "input_data_config": dict(job.input_data_config),
        "input_dir": str(folders.input),
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "is_master": job.current_host == master,
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "job_name": job.environ.get("TRAINING_JOB_NAME"),
        "log_level": job.log_level,
        "master_hostname": master,
        "model_dir": str(folders.model),
        "module_dir": job.submit_directory,
        "module_name": program.removesuffix(".py") if program is not None else "None",
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "num_cpus": job.host.num_cpus,
        "num_gpus": job.host.num_gpus,
        "num_neurons": 0,
        "output_data_dir": str(folders.output_data),
        "output_dir": str(folders.output),
        "output_intermediate_dir": str(folders.output_intermediate),
        "resource_config": dict(resources),
        "topology": resources.get("topology", []),
        "user_entry_point": program,
    }


def sm_variables(job: Job) -> dict[str, str]:
    """Every `SM_*` variable of the script."""
    env = training_environment(job)
    shown = (
        "hosts",
        "network_interface_name",
        "user_entry_point",
        "resource_config",
        "input_data_config",
        "output_data_dir",
        "current_host",
        "current_instance_type",
        "current_instance_group",
        "current_instance_group_hosts",
        "instance_groups",
        "instance_groups_dict",
        "distribution_instance_groups",
        "is_hetero",
        "module_name",
        "log_level",
        "framework_module",
        "input_dir",
        "input_config_dir",
        "output_dir",
        "num_cpus",
        "num_gpus",
        "num_neurons",
        "model_dir",
        "module_dir",
        "output_intermediate_dir",
    )
    values: dict[str, object] = {name: env[name] for name in shown}
    values |= {
        "hps": env["hyperparameters"],
        "framework_params": env["additional_framework_parameters"],
        "channels": sorted(env["channel_input_dirs"]),
        "training_env": env,
        "user_args": to_arguments(job.hyperparameters),
    }
    if env["topology"]:
        values["topology"] = env["topology"]
    values |= {f"channel_{name}": path for name, path in env["channel_input_dirs"].items()}
    values |= {f"hp_{name}": value for name, value in job.hyperparameters.items()}
    return to_variables(values)


def _distribution_groups(job: Job, group: str) -> list[str]:
    named = job.framework_parameters.get("sagemaker_distribution_instance_groups")
    if isinstance(named, list):
        return [str(name) for name in named]
    return [group] if any(job.framework_parameters.get(name) for name in _DISTRIBUTIONS) else []
