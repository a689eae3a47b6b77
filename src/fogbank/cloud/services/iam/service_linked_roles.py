"""Roles that belong to an AWS service: made on request, changed by nobody.

Only the services that this cloud's users meet have a template.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import Role, RoleDeletion
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam import shapes
from fogbank.cloud.services.iam.bootstrap import service_trust_policy
from fogbank.cloud.services.iam.catalogue import AWS_POLICY_PREFIX
from fogbank.cloud.services.iam.directory import Directory, invalid_input, no_such_entity
from fogbank.cloud.state.keyring import unique_id
from fogbank.core.arn import Scope


@dataclass(frozen=True)
class Template:
    """role: its name without a suffix. policy: an AWS managed policy under aws-service-role/."""

    role: str
    policy: str


TEMPLATES = {
    "lambda.application-autoscaling.amazonaws.com": Template(
        "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
        "AWSApplicationAutoscalingLambdaConcurrencyPolicy",
    ),
    "sagemaker.application-autoscaling.amazonaws.com": Template(
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        "AWSApplicationAutoscalingSageMakerEndpointPolicy",
    ),
}


class ServiceLinkedRoles:
    def __init__(self, records: Records, directory: Directory, scope: Scope) -> None:
        self._records = records
        self._directory = directory
        self._scope = scope

    @operation("CreateServiceLinkedRole")
    def create_service_linked_role(self, context: Context, params: Params) -> Result:
        service = params["AWSServiceName"]
        template = TEMPLATES.get(service)
        if template is None:
            raise invalid_input(
                f"No service-linked role is known for {service}. Known services: "
                f"{', '.join(sorted(TEMPLATES))}"
            )
        if "CustomSuffix" in params:
            raise invalid_input("Custom suffix is not allowed for " + service)
        if self._records.get(Role, template.role.lower()) is not None:
            raise invalid_input(
                f"Service role name {template.role} has been taken in this account, please try a "
                "different suffix."
            )
        path = f"/aws-service-role/{service}/"
        role = Role(
            name=template.role,
            path=path,
            unique_id=unique_id("AROA"),
            arn=self._scope.global_arn("iam", f"role{path}{template.role}"),
            created=context.received,
            trust_policy=service_trust_policy(service),
            description=params.get("Description"),
            attached_policies=(f"{AWS_POLICY_PREFIX}aws-service-role/{template.policy}",),
            linked_service=service,
        )
        self._records.put(role)
        return {"Role": shapes.whole_role(role)}

    @operation("DeleteServiceLinkedRole")
    def delete_service_linked_role(self, context: Context, params: Params) -> Result:
        role = self._directory.role(params["RoleName"])
        if role.linked_service is None:
            raise no_such_entity(f"{role.name} is not a service-linked role.")
        task = RoleDeletion(
            task_id=f"task{role.path}{role.name}/{secrets.token_hex(16)}",
            role_arn=role.arn,
            status="SUCCEEDED",
        )
        with self._records.transaction():
            self._records.delete(Role, role.key)
            self._records.put(task)
        return {"DeletionTaskId": task.task_id}

    @operation("GetServiceLinkedRoleDeletionStatus")
    def get_deletion_status(self, context: Context, params: Params) -> Result:
        task = self._records.get(RoleDeletion, params["DeletionTaskId"])
        if task is None:
            raise no_such_entity(f"Deletion task {params['DeletionTaskId']} cannot be found.")
        return {"Status": task.status}
