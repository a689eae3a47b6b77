"""SageMaker's control plane: training and tuning jobs, models, endpoints and their configurations,
tags.

Each room validates what the model cannot, writes intent as records and reads records back; it
starts nothing. `rooms` makes them all.
"""

from __future__ import annotations

from collections.abc import Callable

from fogbank.cloud.ports import Objects, Records
from fogbank.cloud.rules.endpoint_quota import InstanceCounts
from fogbank.cloud.services.sagemaker.endpoint_configs import EndpointConfigs
from fogbank.cloud.services.sagemaker.endpoints import Endpoints
from fogbank.cloud.services.sagemaker.models import Models
from fogbank.cloud.services.sagemaker.refusals import RoleExists
from fogbank.cloud.services.sagemaker.tags import TagRoom
from fogbank.cloud.services.sagemaker.training import TrainingJobs
from fogbank.cloud.services.sagemaker.tuning import TuningJobs
from fogbank.core.arn import Scope


def rooms(
    *,
    records: Records,
    scope: Scope,
    objects: Objects,
    role_exists: RoleExists,
    search_model_exists: Callable[[], bool],
    endpoint_quota: InstanceCounts | None = None,
) -> tuple[object, ...]:
    """Every room of the service, for `services.base.dispatch_table`.

    role_exists: whether IAM has a role of that ARN.
    search_model_exists: whether tuning jobs can use strategies that ask a model where to look.
    endpoint_quota: how many instances of a type endpoints may have; None: any number.
    """
    return (
        TrainingJobs(records=records, scope=scope, objects=objects, role_exists=role_exists),
        TuningJobs(
            records=records,
            scope=scope,
            objects=objects,
            role_exists=role_exists,
            search_model_exists=search_model_exists,
        ),
        Models(records=records, scope=scope, objects=objects, role_exists=role_exists),
        EndpointConfigs(records=records, scope=scope),
        Endpoints(records=records, scope=scope, quota=endpoint_quota or InstanceCounts()),
        TagRoom(records=records),
    )
