from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from cloud.aws import NOW, ROOT, SCOPE, context, refused
from cloud.services.iam.conftest import ALLOW, S3_READ, TRUST, Iam
from fogbank.cloud.context import Principal

NOT_FOUND = ("NoSuchEntity", 404)
TAKEN = ("EntityAlreadyExists", 409)
CONFLICT = ("DeleteConflict", 409)


class TestUsers:
    @pytest.mark.model
    def test_a_user_is_what_was_created(self, iam: Iam) -> None:
        user = iam.user(
            Path="/team/",
            PermissionsBoundary=S3_READ,
            Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}],
        )
        assert re.fullmatch(r"AIDA[A-Z2-7]{17}", user["UserId"])
        assert user["Arn"] == f"arn:aws:iam::{SCOPE.account}:user/team/ada"
        assert user["CreateDate"] == NOW
        assert user["PermissionsBoundary"]["PermissionsBoundaryArn"] == S3_READ
        assert user["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
        assert iam.call("GetUser", UserName="ada")["User"] == user
        (listed,) = iam.call("ListUsers", PathPrefix="/team/")["Users"]
        assert listed == {k: v for k, v in user.items() if k not in ("PermissionsBoundary", "Tags")}
        assert iam.call("ListUsers", PathPrefix="/other/")["Users"] == []

    @pytest.mark.observed
    def test_names_are_taken_in_any_case_but_found_in_their_own(self, iam: Iam) -> None:
        iam.user("Ada")
        with refused(*TAKEN, "User with name ADA already exists."):
            iam.user("ADA")
        with refused(*NOT_FOUND, "The user with name ada cannot be found."):
            iam.call("GetUser", UserName="ada")

    @pytest.mark.docs
    def test_without_a_name_it_is_the_caller(self, iam: Iam) -> None:
        iam.keyring.ensure_root_key(NOW)
        iam.user()
        assert iam.call("GetUser", iam.principal())["User"]["UserName"] == "ada"
        # AWS too answers with a UserId here that is shorter than its own model says.
        root: Any = iam.service.table["GetUser"](context(ROOT), {})
        assert (root["User"]["Arn"], root["User"]["UserId"]) == (ROOT.arn, SCOPE.account)
        session = Principal("arn", SCOPE.account, "AROA:x", "role-session", "role")
        with refused("ValidationError", 400, "Must specify userName"):
            iam.call("GetUser", session)

    @pytest.mark.docs
    def test_a_new_name_takes_groups_and_keys_along(self, iam: Iam) -> None:
        before = iam.user()
        iam.group()
        iam.call("AddUserToGroup", GroupName="devs", UserName="ada")
        key = iam.call("CreateAccessKey", UserName="ada")["AccessKey"]
        iam.call("UpdateUser", UserName="ada", NewUserName="lady", NewPath="/l/")
        after = iam.call("GetUser", UserName="lady")["User"]
        assert after["UserId"] == before["UserId"]
        assert after["Arn"].endswith(":user/l/lady")
        (member,) = iam.call("GetGroup", GroupName="devs")["Users"]
        assert member["UserName"] == "lady"
        found = iam.keyring.find(key["AccessKeyId"])
        assert found is not None
        assert found.principal.arn == after["Arn"]
        iam.user("ada")
        with refused(*TAKEN):
            iam.call("UpdateUser", UserName="lady", NewUserName="ada")

    @pytest.mark.observed
    def test_a_user_goes_only_when_nothing_hangs_on_it(self, iam: Iam) -> None:
        iam.user()
        iam.group()
        key = iam.call("CreateAccessKey", UserName="ada")["AccessKey"]["AccessKeyId"]
        iam.call("AttachUserPolicy", UserName="ada", PolicyArn=S3_READ)
        iam.call("PutUserPolicy", UserName="ada", PolicyName="p", PolicyDocument=ALLOW)
        iam.call("AddUserToGroup", GroupName="devs", UserName="ada")
        steps: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("must delete access keys first", "DeleteAccessKey", {"AccessKeyId": key}),
            ("must detach all policies first", "DetachUserPolicy", {"PolicyArn": S3_READ}),
            ("must delete policies first", "DeleteUserPolicy", {"PolicyName": "p"}),
            ("must remove users from group", "RemoveUserFromGroup", {"GroupName": "devs"}),
        )
        for words, operation, params in steps:
            with refused(*CONFLICT, words):
                iam.call("DeleteUser", UserName="ada")
            iam.call(operation, UserName="ada", **params)
        iam.call("DeleteUser", UserName="ada")
        with refused(*NOT_FOUND):
            iam.call("DeleteUser", UserName="ada")


class TestGroups:
    @pytest.mark.model
    def test_members_come_and_go(self, iam: Iam) -> None:
        group = iam.group(Path="/x/")
        assert re.fullmatch(r"AGPA[A-Z2-7]{17}", group["GroupId"])
        for name in ("bob", "ada"):
            iam.user(name)
            for _ in range(2):
                iam.call("AddUserToGroup", GroupName="devs", UserName=name)
        answer = iam.call("GetGroup", GroupName="devs")
        assert [user["UserName"] for user in answer["Users"]] == ["ada", "bob"]
        assert iam.call("ListGroupsForUser", UserName="ada")["Groups"] == [group]
        assert iam.call("ListGroups", PathPrefix="/x")["Groups"] == [group]
        with refused(*CONFLICT, "must remove users from group first"):
            iam.call("DeleteGroup", GroupName="devs")
        for name in ("ada", "bob"):
            iam.call("RemoveUserFromGroup", GroupName="devs", UserName=name)
        iam.call("DeleteGroup", GroupName="devs")
        with refused(*NOT_FOUND, "The group with name devs cannot be found."):
            iam.call("GetGroup", GroupName="devs")

    @pytest.mark.docs
    def test_a_user_is_in_ten_groups_at_most(self, iam: Iam) -> None:
        iam.user()
        for number in range(11):
            iam.group(f"g{number}")
        for number in range(10):
            iam.call("AddUserToGroup", GroupName=f"g{number}", UserName="ada")
        with refused("LimitExceeded", 409, "Cannot exceed quota for GroupsPerUser: 10"):
            iam.call("AddUserToGroup", GroupName="g10", UserName="ada")

    @pytest.mark.model
    def test_a_group_gets_a_new_name(self, iam: Iam) -> None:
        iam.group()
        iam.group("ops")
        with refused(*TAKEN):
            iam.call("UpdateGroup", GroupName="devs", NewGroupName="Ops")
        iam.call("UpdateGroup", GroupName="devs", NewGroupName="Devs", NewPath="/n/")
        group = iam.call("GetGroup", GroupName="Devs")["Group"]
        assert group["Arn"].endswith(":group/n/Devs")


class TestRoles:
    @pytest.mark.model
    def test_a_role_is_what_was_created(self, iam: Iam) -> None:
        role = iam.role(
            Path="/service-role/",
            Description="trains",
            MaxSessionDuration=7200,
            PermissionsBoundary=S3_READ,
            Tags=[{"Key": "team", "Value": "vision"}],
        )
        assert re.fullmatch(r"AROA[A-Z2-7]{17}", role["RoleId"])
        assert role["Arn"] == f"arn:aws:iam::{SCOPE.account}:role/service-role/train"
        assert unquote(role["AssumeRolePolicyDocument"]) == TRUST
        assert " " not in role["AssumeRolePolicyDocument"]
        assert (role["Description"], role["MaxSessionDuration"]) == ("trains", 7200)
        assert role["RoleLastUsed"] == {}
        assert iam.call("GetRole", RoleName="train")["Role"] == role
        (listed,) = iam.call("ListRoles")["Roles"]
        assert not {"Tags", "PermissionsBoundary", "RoleLastUsed"} & set(listed)

    @pytest.mark.observed
    def test_missing_taken_and_malformed(self, iam: Iam) -> None:
        iam.role()
        with refused(*TAKEN, "Role with name train already exists."):
            iam.role()
        with refused(*NOT_FOUND, "The role with name nobody cannot be found."):
            iam.call("GetRole", RoleName="nobody")
        with refused("MalformedPolicyDocument", 400):
            iam.call("CreateRole", RoleName="r", AssumeRolePolicyDocument=ALLOW)
        with refused(*NOT_FOUND, "does not exist or is not attachable"):
            iam.role("r", PermissionsBoundary="arn:aws:iam::aws:policy/Nothing")

    @pytest.mark.docs
    def test_updates(self, iam: Iam) -> None:
        iam.role(Description="old", MaxSessionDuration=7200)
        other = TRUST.replace("sagemaker", "lambda")
        iam.call("UpdateAssumeRolePolicy", RoleName="train", PolicyDocument=other)
        iam.call("PutRolePermissionsBoundary", RoleName="train", PermissionsBoundary=S3_READ)
        iam.call("UpdateRole", RoleName="train", MaxSessionDuration=3600)
        role = iam.call("GetRole", RoleName="train")["Role"]
        assert unquote(role["AssumeRolePolicyDocument"]) == other
        assert "Description" not in role
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == S3_READ
        iam.call("DeleteRolePermissionsBoundary", RoleName="train")
        answer = iam.call("UpdateRoleDescription", RoleName="train", Description="new")
        assert answer["Role"]["Description"] == "new"
        assert "PermissionsBoundary" not in answer["Role"]

    @pytest.mark.docs
    def test_a_trust_policy_has_2048_characters_at_most(self, iam: Iam) -> None:
        padding = "x" * (2048 - len("".join(TRUST.split())) - len('"Sid":"",'))
        fits = TRUST.replace('{"Effect"', f'{{"Sid": "{padding}", "Effect"')
        iam.call("CreateRole", RoleName="fits", AssumeRolePolicyDocument=fits)
        with refused("LimitExceeded", 409, "Cannot exceed quota for ACLSizePerRole: 2048"):
            longer = fits.replace(padding, padding + "x")
            iam.call("CreateRole", RoleName="longer", AssumeRolePolicyDocument=longer)

    @pytest.mark.observed
    def test_a_role_goes_only_when_nothing_hangs_on_it(self, iam: Iam) -> None:
        iam.role()
        iam.call("CreateInstanceProfile", InstanceProfileName="p")
        iam.call("AddRoleToInstanceProfile", InstanceProfileName="p", RoleName="train")
        iam.call("AttachRolePolicy", RoleName="train", PolicyArn=S3_READ)
        iam.call("PutRolePolicy", RoleName="train", PolicyName="i", PolicyDocument=ALLOW)
        steps: tuple[tuple[str, str, dict[str, Any]], ...] = (
            (
                "must remove roles from instance profile first",
                "RemoveRoleFromInstanceProfile",
                {"InstanceProfileName": "p"},
            ),
            ("must detach all policies first", "DetachRolePolicy", {"PolicyArn": S3_READ}),
            ("must delete policies first", "DeleteRolePolicy", {"PolicyName": "i"}),
        )
        for words, operation, params in steps:
            with refused(*CONFLICT, words):
                iam.call("DeleteRole", RoleName="train")
            iam.call(operation, RoleName="train", **params)
        iam.call("DeleteRole", RoleName="train")
        assert iam.call("ListRoles")["Roles"] == []

    @pytest.mark.docs
    def test_last_use_shows_in_single_look_ups(self, iam: Iam) -> None:
        role = iam.role()
        session = iam.keyring.issue_role_session(role["Arn"], "s", duration_s=900, now=NOW)
        iam.keyring.note_use(session.access_key_id, "s3", NOW + timedelta(seconds=1))
        used = iam.call("GetRole", RoleName="train")["Role"]["RoleLastUsed"]
        assert used == {"LastUsedDate": NOW + timedelta(seconds=1), "Region": "us-east-1"}


class TestInstanceProfiles:
    @pytest.mark.model
    def test_a_profile_holds_one_role(self, iam: Iam) -> None:
        role = iam.role()
        iam.role("second")
        profile = iam.call("CreateInstanceProfile", InstanceProfileName="p", Path="/x/")
        assert profile["InstanceProfile"]["Arn"].endswith(":instance-profile/x/p")
        with refused(*TAKEN, "Instance Profile P already exists."):
            iam.call("CreateInstanceProfile", InstanceProfileName="P")
        iam.call("AddRoleToInstanceProfile", InstanceProfileName="p", RoleName="train")
        with refused("LimitExceeded", 409, "InstanceSessionsPerInstanceProfile: 1"):
            iam.call("AddRoleToInstanceProfile", InstanceProfileName="p", RoleName="second")
        found = iam.call("GetInstanceProfile", InstanceProfileName="p")["InstanceProfile"]
        assert [one["Arn"] for one in found["Roles"]] == [role["Arn"]]
        for operation, params in (
            ("ListInstanceProfiles", {"PathPrefix": "/x/"}),
            ("ListInstanceProfilesForRole", {"RoleName": "train"}),
        ):
            assert iam.call(operation, **params)["InstanceProfiles"] == [found]
        with refused(*CONFLICT):
            iam.call("DeleteInstanceProfile", InstanceProfileName="p")
        with refused(*NOT_FOUND, "cannot be found"):
            iam.call("RemoveRoleFromInstanceProfile", InstanceProfileName="p", RoleName="second")
        iam.call("RemoveRoleFromInstanceProfile", InstanceProfileName="p", RoleName="train")
        iam.call("DeleteInstanceProfile", InstanceProfileName="p")
        with refused(*NOT_FOUND, "Instance Profile p cannot be found."):
            iam.call("GetInstanceProfile", InstanceProfileName="p")


class TestAccessKeys:
    @pytest.mark.docs
    def test_two_keys_at_most(self, iam: Iam) -> None:
        iam.user()
        keys = [iam.call("CreateAccessKey", UserName="ada")["AccessKey"] for _ in range(2)]
        with refused("LimitExceeded", 409, "Cannot exceed quota for AccessKeysPerUser: 2"):
            iam.call("CreateAccessKey", UserName="ada")
        listed = iam.call("ListAccessKeys", UserName="ada")["AccessKeyMetadata"]
        assert {key["AccessKeyId"] for key in listed} == {key["AccessKeyId"] for key in keys}
        assert all("SecretAccessKey" not in key for key in listed)

    @pytest.mark.docs
    def test_an_inactive_key_signs_nothing(self, iam: Iam) -> None:
        iam.user()
        me = iam.principal()
        key_id = iam.call("CreateAccessKey", me)["AccessKey"]["AccessKeyId"]
        iam.call("UpdateAccessKey", me, AccessKeyId=key_id, Status="Inactive")
        assert iam.keyring.find(key_id) is None
        iam.call("UpdateAccessKey", me, AccessKeyId=key_id, Status="Active")
        assert iam.keyring.find(key_id) is not None
        with refused("InvalidInput", 400):
            iam.call("UpdateAccessKey", me, AccessKeyId=key_id, Status="Expired")
        with refused(*NOT_FOUND, f"The Access Key with id {key_id} cannot be found."):
            iam.call("DeleteAccessKey", AccessKeyId=key_id)
        iam.call("DeleteAccessKey", me, AccessKeyId=key_id)
        assert iam.keyring.find(key_id) is None

    @pytest.mark.docs
    def test_last_use(self, iam: Iam) -> None:
        iam.user()
        key_id = iam.call("CreateAccessKey", UserName="ada")["AccessKey"]["AccessKeyId"]
        answer = iam.call("GetAccessKeyLastUsed", AccessKeyId=key_id)
        assert answer["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
        iam.keyring.note_use(key_id, "s3", NOW)
        answer = iam.call("GetAccessKeyLastUsed", AccessKeyId=key_id)
        assert answer["UserName"] == "ada"
        assert answer["AccessKeyLastUsed"] == {
            "ServiceName": "s3",
            "Region": "us-east-1",
            "LastUsedDate": NOW,
        }


class TestTags:
    @pytest.mark.docs
    @pytest.mark.parametrize("kind", ["User", "Role", "Policy", "InstanceProfile"])
    def test_tags_are_laid_over_each_other(self, iam: Iam, kind: str) -> None:
        iam.user("x")
        iam.role("x")
        iam.call("CreateInstanceProfile", InstanceProfileName="x")
        who = {"PolicyArn": iam.policy()} if kind == "Policy" else {f"{kind}Name": "x"}
        pairs = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
        iam.call(f"Tag{kind}", Tags=pairs, **who)
        iam.call(f"Tag{kind}", Tags=[{"Key": "A", "Value": "3"}], **who)
        first = iam.call(f"List{kind}Tags", MaxItems=1, **who)
        assert first["Tags"] == [{"Key": "A", "Value": "3"}]
        assert first["IsTruncated"] is True
        second = iam.call(f"List{kind}Tags", Marker=first["Marker"], **who)
        assert second == {"Tags": [{"Key": "b", "Value": "2"}], "IsTruncated": False}
        iam.call(f"Untag{kind}", TagKeys=["a"], **who)
        assert iam.call(f"List{kind}Tags", **who)["Tags"] == [{"Key": "b", "Value": "2"}]

    @pytest.mark.docs
    def test_doubled_reserved_and_too_many_tags(self, iam: Iam) -> None:
        with refused("InvalidInput", 400, "Duplicate tag keys"):
            iam.user(Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}])
        with refused("InvalidInput", 400, "aws:"):
            iam.user(Tags=[{"Key": "aws:x", "Value": "1"}])
        iam.user(Tags=[{"Key": str(n), "Value": ""} for n in range(50)])
        with refused("LimitExceeded", 409):
            iam.call("TagUser", UserName="ada", Tags=[{"Key": "more", "Value": ""}])


class TestServiceLinkedRoles:
    SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
    NAME = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"

    @pytest.mark.docs
    def test_it_is_made_protected_and_deleted_by_a_task(self, iam: Iam) -> None:
        role = iam.call("CreateServiceLinkedRole", AWSServiceName=self.SERVICE)["Role"]
        assert role["Path"] == f"/aws-service-role/{self.SERVICE}/"
        assert role["RoleName"] == self.NAME
        attached = iam.call("ListAttachedRolePolicies", RoleName=self.NAME)["AttachedPolicies"]
        assert attached[0]["PolicyName"] == "AWSApplicationAutoscalingSageMakerEndpointPolicy"
        with refused("InvalidInput", 400, "has been taken in this account"):
            iam.call("CreateServiceLinkedRole", AWSServiceName=self.SERVICE)
        changes: tuple[tuple[str, dict[str, str]], ...] = (
            ("DeleteRole", {}),
            ("UpdateRole", {}),
            ("AttachRolePolicy", {"PolicyArn": S3_READ}),
            ("PutRolePolicy", {"PolicyName": "p", "PolicyDocument": ALLOW}),
            ("UpdateAssumeRolePolicy", {"PolicyDocument": TRUST}),
        )
        for operation, params in changes:
            with refused("UnmodifiableEntity", 400, "only modifiable by AWS"):
                iam.call(operation, RoleName=self.NAME, **params)
        task = iam.call("DeleteServiceLinkedRole", RoleName=self.NAME)["DeletionTaskId"]
        answer = iam.call("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task)
        assert answer == {"Status": "SUCCEEDED"}
        assert iam.call("ListRoles")["Roles"] == []

    @pytest.mark.docs
    def test_what_is_none_is_refused(self, iam: Iam) -> None:
        iam.role()
        with refused("InvalidInput", 400, "ec2.example"):
            iam.call("CreateServiceLinkedRole", AWSServiceName="ec2.example")
        with refused("InvalidInput", 400, "suffix"):
            iam.call("CreateServiceLinkedRole", AWSServiceName=self.SERVICE, CustomSuffix="x")
        with refused(*NOT_FOUND):
            iam.call("DeleteServiceLinkedRole", RoleName="train")
        with refused(*NOT_FOUND):
            iam.call("GetServiceLinkedRoleDeletionStatus", DeletionTaskId="task/x")
