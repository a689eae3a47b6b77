"""What a fresh account has before anybody calls: the notebook's role.

Idempotent: what exists is left as it is, also when somebody changed it.
"""

from __future__ import annotations

import json
from datetime import datetime

from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import Role
from fogbank.cloud.state.keyring import unique_id
from fogbank.core.arn import Scope

NOTEBOOK_ROLE = "FogbankNotebook"

ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"


def service_trust_policy(service: str) -> str:
    """A trust policy that lets one AWS service (`sagemaker.amazonaws.com`) assume the role."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )


def ensure_notebook_role(records: Records, scope: Scope, now: datetime) -> Role:
    """The administrator-like role that a person's own session and a notebook run with, trusted by
    SageMaker so that jobs may be given it as well."""
    found = records.get(Role, NOTEBOOK_ROLE.lower())
    if found is not None:
        return found
    role = Role(
        name=NOTEBOOK_ROLE,
        path="/",
        unique_id=unique_id("AROA"),
        arn=scope.global_arn("iam", f"role/{NOTEBOOK_ROLE}"),
        created=now,
        trust_policy=service_trust_policy("sagemaker.amazonaws.com"),
        description="The role of notebooks and of `fogbank env`",
        max_session_s=43200,
        attached_policies=(ADMINISTRATOR_ACCESS,),
    )
    records.put(role)
    return role
