"""The rooms of IAM, put together."""

from __future__ import annotations

from fogbank.cloud.ports import Records
from fogbank.cloud.services.iam.access_keys import AccessKeys
from fogbank.cloud.services.iam.account import Account
from fogbank.cloud.services.iam.directory import Directory
from fogbank.cloud.services.iam.groups import Groups
from fogbank.cloud.services.iam.holder_policies import HolderPolicies
from fogbank.cloud.services.iam.instance_profiles import InstanceProfiles
from fogbank.cloud.services.iam.policies import Policies
from fogbank.cloud.services.iam.roles import Roles
from fogbank.cloud.services.iam.service_linked_roles import ServiceLinkedRoles
from fogbank.cloud.services.iam.simulation import Simulation
from fogbank.cloud.services.iam.tags import ResourceTags
from fogbank.cloud.services.iam.users import Users
from fogbank.cloud.state.keyring import RecordsKeyring
from fogbank.core.arn import Scope


def rooms(records: Records, keyring: RecordsKeyring, scope: Scope) -> tuple[object, ...]:
    """Everything that `base.dispatch_table` needs."""
    directory = Directory(records)
    return (
        AccessKeys(records, directory, keyring),
        Account(records, directory),
        Groups(records, directory, scope),
        HolderPolicies(records, directory),
        InstanceProfiles(records, directory, scope),
        Policies(records, directory, scope),
        ResourceTags(records, directory),
        Roles(records, directory, scope),
        ServiceLinkedRoles(records, directory, scope),
        Simulation(directory),
        Users(records, directory, scope),
    )
