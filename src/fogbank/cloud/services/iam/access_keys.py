"""Access keys of users and of root (IAM API Reference, CreateAccessKey and its siblings)."""

from __future__ import annotations

from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.identity import AccessKey
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam.directory import (
    Directory,
    invalid_input,
    no_such_entity,
    over_quota,
)
from fogbank.cloud.services.iam.paging import page
from fogbank.cloud.services.iam.shapes import Shape
from fogbank.cloud.services.iam.users import calling_user
from fogbank.cloud.state.keyring import RecordsKeyring

KEYS_PER_USER = 2

ROOT_NAME = "root"
"""What stands for the name in root's own keys."""


class AccessKeys:
    def __init__(self, records: Records, directory: Directory, keyring: RecordsKeyring) -> None:
        self._records = records
        self._directory = directory
        self._keyring = keyring

    def _owner(self, context: Context, params: Params) -> str | None:
        """The user that the call is about: named, or the caller; None for root."""
        if "UserName" in params:
            return self._directory.user(params["UserName"]).name
        if context.caller.kind == "root":
            return None
        return calling_user(self._directory, context.caller).name

    def _keys(self, owner: str | None) -> list[AccessKey]:
        return [key for key in self._records.all(AccessKey) if key.user_name == owner]

    def _key(self, owner: str | None, key_id: str) -> AccessKey:
        key = self._records.get(AccessKey, key_id)
        if key is None or key.user_name != owner:
            raise no_such_entity(f"The Access Key with id {key_id} cannot be found.")
        return key

    @operation("CreateAccessKey")
    def create_access_key(self, context: Context, params: Params) -> Result:
        owner = self._owner(context, params)
        if len(self._keys(owner)) >= KEYS_PER_USER:
            raise over_quota("AccessKeysPerUser", KEYS_PER_USER)
        key = self._keyring.issue_access_key(owner, now=context.received)
        return {"AccessKey": {**_metadata(key), "SecretAccessKey": key.secret_access_key}}

    @operation("ListAccessKeys")
    def list_access_keys(self, context: Context, params: Params) -> Result:
        shown, more = page(
            params, self._keys(self._owner(context, params)), lambda key: key.access_key_id
        )
        return {"AccessKeyMetadata": [_metadata(key) for key in shown], **more}

    @operation("UpdateAccessKey")
    def update_access_key(self, context: Context, params: Params) -> Result:
        key = self._key(self._owner(context, params), params["AccessKeyId"])
        if params["Status"] not in ("Active", "Inactive"):
            raise invalid_input("The status of an access key can be set to Active or Inactive.")
        self._records.put(replace(key, status=params["Status"]))
        return {}

    @operation("DeleteAccessKey")
    def delete_access_key(self, context: Context, params: Params) -> Result:
        key = self._key(self._owner(context, params), params["AccessKeyId"])
        self._records.delete(AccessKey, key.key)
        return {}

    @operation("GetAccessKeyLastUsed")
    def get_access_key_last_used(self, context: Context, params: Params) -> Result:
        key = self._records.get(AccessKey, params["AccessKeyId"])
        if key is None:
            raise no_such_entity(f"The Access Key with id {params['AccessKeyId']} cannot be found.")
        used: Shape = {"ServiceName": key.last_used_service or "N/A", "Region": "N/A"}
        if key.last_used is not None:
            used |= {"LastUsedDate": key.last_used, "Region": self._keyring.region}
        return {"UserName": key.user_name or ROOT_NAME, "AccessKeyLastUsed": used}


def _metadata(key: AccessKey) -> Shape:
    return {
        "UserName": key.user_name or ROOT_NAME,
        "AccessKeyId": key.access_key_id,
        "Status": key.status,
        "CreateDate": key.created,
    }
