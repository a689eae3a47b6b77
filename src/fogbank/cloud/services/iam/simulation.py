"""SimulatePrincipalPolicy (IAM API Reference): may this principal do that?

The answer is that of the cloud itself: what `rules.authorization` would say if the principal made
the call. Policies are not evaluated there yet, so they are not here: every existing role may do
everything, as its sessions may, and users and groups nothing, whatever is attached to them. What
would make a policy part of the question is refused.
"""

from __future__ import annotations

from fogbank.cloud.context import Context, Params, Principal, Result
from fogbank.cloud.records.iam import Group, Role, User
from fogbank.cloud.rules.authorization import root_and_role_sessions
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam.directory import Directory, invalid_input
from fogbank.cloud.services.iam.paging import page

_NOT_EVALUATED = (
    "PolicyInputList",
    "PermissionsBoundaryPolicyInputList",
    "PolicyExclusionList",
    "ResourcePolicy",
    "CallerArn",
    "ResourceHandlingOption",
)


class Simulation:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    @operation("SimulatePrincipalPolicy")
    def simulate_principal_policy(self, context: Context, params: Params) -> Result:
        """One result for each action on each resource; context keys play no part."""
        for name in _NOT_EVALUATED:
            if params.get(name):
                raise invalid_input(
                    f"Fogbank does not evaluate policies yet: SimulatePrincipalPolicy cannot take "
                    f"{name} into account."
                )
        principal = self._principal(params["PolicySourceArn"], context.caller.account)
        pairs = [
            (action, resource)
            for action in dict.fromkeys(params["ActionNames"])
            for resource in dict.fromkeys(params.get("ResourceArns") or ["*"])
        ]
        shown, more = page(params, pairs, " ".join)
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": _decision(principal, action),
                    "MatchedStatements": [],
                    "MissingContextValues": [],
                }
                for action, resource in shown
            ],
            **more,
        }

    def _principal(self, arn: str, account: str) -> Principal:
        """Who would call: a session of the role, or the user."""
        kind, _, path = arn.rpartition(":")[2].partition("/")
        name = path.rpartition("/")[2]
        found: User | Group | Role
        match kind:
            case "role":
                found = self._directory.role(name)
            case "user":
                found = self._directory.user(name)
            case "group":
                found = self._directory.group(name)
            case _:
                raise invalid_input(f"Invalid Entity Arn: {arn} does not clearly define entity.")
        if found.arn != arn:
            raise invalid_input(f"Invalid Entity Arn: {arn} does not clearly define entity.")
        if isinstance(found, Role):
            return Principal(arn, account, found.unique_id, "role-session", found.arn)
        return Principal(arn, account, found.unique_id, "user")


def _decision(principal: Principal, action: str) -> str:
    service, separator, name = action.partition(":")
    if not separator or not service or not name:
        raise invalid_input(f"Invalid input: {action} is not an action such as s3:GetObject.")
    allowed = root_and_role_sessions(principal, service, name).allowed
    return "allowed" if allowed else "implicitDeny"
