"""Look-ups in the account that say no in IAM's words, and questions over all of it."""

from __future__ import annotations

from collections import Counter

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import (
    Group,
    InstanceProfile,
    ManagedPolicy,
    PolicyHolder,
    Role,
    User,
)
from fogbank.cloud.services.iam.catalogue import AWS_POLICY_PREFIX, aws_managed_policies

HOLDERS: tuple[type[PolicyHolder], ...] = (User, Group, Role)


def no_such_entity(message: str) -> ServiceError:
    return ServiceError("NoSuchEntity", message, status=404)


def already_exists(message: str) -> ServiceError:
    return ServiceError("EntityAlreadyExists", message, status=409)


def delete_conflict(message: str) -> ServiceError:
    return ServiceError("DeleteConflict", message, status=409)


def over_quota(quota: str, limit: int) -> ServiceError:
    return ServiceError("LimitExceeded", f"Cannot exceed quota for {quota}: {limit}", status=409)


def invalid_input(message: str) -> ServiceError:
    return ServiceError("InvalidInput", message)


class Directory:
    """Everything that IAM keeps of one account, by name or ARN."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def user(self, name: str) -> User:
        found = self._records.get(User, name.lower())
        if found is None or found.name != name:
            raise no_such_entity(f"The user with name {name} cannot be found.")
        return found

    def group(self, name: str) -> Group:
        found = self._records.get(Group, name.lower())
        if found is None or found.name != name:
            raise no_such_entity(f"The group with name {name} cannot be found.")
        return found

    def role(self, name: str) -> Role:
        found = self._records.get(Role, name.lower())
        if found is None or found.name != name:
            raise no_such_entity(f"The role with name {name} cannot be found.")
        return found

    def modifiable_role(self, name: str) -> Role:
        """The role, unless it belongs to a service."""
        found = self.role(name)
        if found.linked_service is not None:
            raise ServiceError(
                "UnmodifiableEntity",
                f"Cannot perform the operation on the protected role '{name}' - this role is only "
                "modifiable by AWS",
            )
        return found

    def instance_profile(self, name: str) -> InstanceProfile:
        found = self._records.get(InstanceProfile, name.lower())
        if found is None or found.name != name:
            raise no_such_entity(f"Instance Profile {name} cannot be found.")
        return found

    def find_policy(self, arn: str) -> ManagedPolicy | None:
        return self._records.get(ManagedPolicy, arn) or aws_managed_policies().get(arn)

    def policy(self, arn: str) -> ManagedPolicy:
        found = self.find_policy(arn)
        if found is None:
            raise no_such_entity(f"Policy {arn} was not found.")
        return found

    def own_policy(self, arn: str) -> ManagedPolicy:
        """A policy of this account, which may be changed."""
        found = self.policy(arn)
        if arn.startswith(AWS_POLICY_PREFIX):
            raise ServiceError(
                "AccessDenied", f"AWS managed policy {arn} cannot be modified.", status=403
            )
        return found

    def boundary(self, arn: str) -> str:
        """The ARN of a policy that may serve as a permissions boundary."""
        if self.find_policy(arn) is None:
            raise no_such_entity(f"Scope ARN: {arn} does not exist or is not attachable.")
        return arn

    def holders(self) -> list[PolicyHolder]:
        """Users, groups, roles: each in name order."""
        return [holder for kind in HOLDERS for holder in self._records.all(kind)]

    def attachments(self) -> Counter[str]:
        """Policy ARN -> number of users, groups and roles that it is attached to."""
        return Counter(arn for holder in self.holders() for arn in holder.attached_policies)

    def boundary_uses(self) -> Counter[str]:
        """Policy ARN -> number of users and roles that it bounds."""
        return Counter(
            holder.permissions_boundary
            for holder in self.holders()
            if isinstance(holder, User | Role) and holder.permissions_boundary is not None
        )

    def groups_of(self, user_name: str) -> list[Group]:
        return [group for group in self._records.all(Group) if user_name in group.members]

    def profiles_of(self, role_name: str) -> list[InstanceProfile]:
        return [
            profile for profile in self._records.all(InstanceProfile) if role_name in profile.roles
        ]
