from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.aws import NOW, SCOPE, refused
from cloud.services.iam.conftest import ALLOW, S3_READ, Iam
from fogbank.cloud.services.iam.catalogue import aws_managed_policies
from fogbank.cloud.services.iam.paging import page
from fogbank.cloud.services.iam.policy_grammar import check_policy

NOT_FOUND = ("NoSuchEntity", 404)
CONFLICT = ("DeleteConflict", 409)
NAMED_BY_PROJECTS = (
    "AdministratorAccess",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEC2FullAccess",
    "AmazonEC2ReadOnlyAccess",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "AmazonSSMManagedInstanceCore",
    "AmazonSageMakerFullAccess",
    "AmazonSageMakerReadOnly",
    "AWSLambda_FullAccess",
    "CloudWatchFullAccess",
    "CloudWatchLogsFullAccess",
    "IAMFullAccess",
    "IAMReadOnlyAccess",
    "PowerUserAccess",
    "aws-service-role/AWSApplicationAutoscalingSageMakerEndpointPolicy",
    "service-role/AWSLambdaBasicExecutionRole",
)
HOLDERS = ("User", "Group", "Role")


def make(iam: Iam, kind: str) -> dict[str, str]:
    {"User": iam.user, "Group": iam.group, "Role": iam.role}[kind]("x")
    return {f"{kind}Name": "x"}


class TestManagedPolicies:
    @pytest.mark.docs
    @pytest.mark.parametrize("name", NAMED_BY_PROJECTS)
    def test_aws_managed_policies_are_there(self, iam: Iam, name: str) -> None:
        arn = f"arn:aws:iam::aws:policy/{name}"
        policy = iam.call("GetPolicy", PolicyArn=arn)["Policy"]
        assert policy["Path"] + policy["PolicyName"] == f"/{name}"
        answer = iam.call("GetPolicyVersion", PolicyArn=arn, VersionId=policy["DefaultVersionId"])
        check_policy(unquote(answer["PolicyVersion"]["Document"]), "identity")

    @pytest.mark.docs
    def test_aws_managed_policies_are_aws_alone_to_change(self, iam: Iam) -> None:
        with refused("AccessDenied", 403):
            iam.call("DeletePolicy", PolicyArn=S3_READ)
        with refused(*NOT_FOUND, "was not found"):
            iam.call("GetPolicy", PolicyArn="arn:aws:iam::aws:policy/AmazonNoSuchThing")

    @pytest.mark.model
    def test_a_policy_is_what_was_created(self, iam: Iam) -> None:
        arn = iam.policy(Path="/x/", Description="d", Tags=[{"Key": "a", "Value": "1"}])
        assert arn == f"arn:aws:iam::{SCOPE.account}:policy/x/read"
        policy = iam.call("GetPolicy", PolicyArn=arn)["Policy"]
        assert (policy["DefaultVersionId"], policy["AttachmentCount"]) == ("v1", 0)
        assert (policy["Description"], policy["Tags"]) == ("d", [{"Key": "a", "Value": "1"}])
        assert policy["CreateDate"] == policy["UpdateDate"] == NOW
        with refused("EntityAlreadyExists", 409, "A policy called read already exists."):
            iam.policy()
        with refused("MalformedPolicyDocument", 400):
            iam.call("CreatePolicy", PolicyName="bad", PolicyDocument="{}")
        big = json.loads(ALLOW)
        big["Statement"][0]["Sid"] = "x" * 6144
        with refused("LimitExceeded", 409, "Cannot exceed quota for PolicySize: 6144"):
            iam.call("CreatePolicy", PolicyName="big", PolicyDocument=json.dumps(big))

    @pytest.mark.docs
    def test_versions(self, iam: Iam) -> None:
        arn = iam.policy()
        deny = ALLOW.replace("Allow", "Deny")
        version = iam.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=deny)
        assert version["PolicyVersion"]["VersionId"] == "v2"
        assert version["PolicyVersion"]["IsDefaultVersion"] is False
        found = iam.call("GetPolicyVersion", PolicyArn=arn, VersionId="v2")["PolicyVersion"]
        assert unquote(found["Document"]) == deny
        for number in (3, 4, 5):
            iam.call(
                "CreatePolicyVersion",
                PolicyArn=arn,
                PolicyDocument=ALLOW,
                SetAsDefault=number == 3,
            )
        with refused("LimitExceeded", 409, "A managed policy can have up to 5 versions."):
            iam.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=ALLOW)
        assert iam.call("GetPolicy", PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v3"
        with refused(*CONFLICT, "Cannot delete the default version of a policy."):
            iam.call("DeletePolicyVersion", PolicyArn=arn, VersionId="v3")
        iam.call("DeletePolicyVersion", PolicyArn=arn, VersionId="v5")
        after = iam.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=ALLOW)
        assert after["PolicyVersion"]["VersionId"] == "v6"
        iam.call("SetDefaultPolicyVersion", PolicyArn=arn, VersionId="v1")
        listed = iam.call("ListPolicyVersions", PolicyArn=arn)["Versions"]
        assert [(one["VersionId"], one["IsDefaultVersion"]) for one in listed] == [
            ("v6", False),
            ("v4", False),
            ("v3", False),
            ("v2", False),
            ("v1", True),
        ]
        with refused(*NOT_FOUND, "version v9 does not exist"):
            iam.call("GetPolicyVersion", PolicyArn=arn, VersionId="v9")

    @pytest.mark.observed
    def test_a_policy_goes_when_it_is_free_and_has_one_version(self, iam: Iam) -> None:
        arn = iam.policy()
        iam.role()
        iam.call("AttachRolePolicy", RoleName="train", PolicyArn=arn)
        iam.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=ALLOW)
        with refused(*CONFLICT, "Cannot delete a policy attached to entities."):
            iam.call("DeletePolicy", PolicyArn=arn)
        iam.call("DetachRolePolicy", RoleName="train", PolicyArn=arn)
        with refused(*CONFLICT, "This policy has more than one version."):
            iam.call("DeletePolicy", PolicyArn=arn)
        iam.call("DeletePolicyVersion", PolicyArn=arn, VersionId="v2")
        iam.call("DeletePolicy", PolicyArn=arn)
        with refused(*NOT_FOUND):
            iam.call("DeletePolicy", PolicyArn=arn)

    @pytest.mark.docs
    def test_listing_by_scope_use_and_path(self, iam: Iam) -> None:
        own = iam.policy(Path="/x/")
        iam.role(PermissionsBoundary=own)
        iam.call("AttachRolePolicy", RoleName="train", PolicyArn=S3_READ)

        def arns(**params: Any) -> set[str]:
            return {one["Arn"] for one in iam.call("ListPolicies", **params)["Policies"]}

        assert arns(Scope="Local") == {own}
        assert arns(Scope="AWS") == set(aws_managed_policies())
        assert arns() == {own} | set(aws_managed_policies())
        assert arns(OnlyAttached=True) == {own, S3_READ}
        assert arns(PolicyUsageFilter="PermissionsBoundary") == {own}
        assert arns(PolicyUsageFilter="PermissionsPolicy") == {S3_READ}
        assert arns(PathPrefix="/x/") == {own}
        (policy,) = iam.call("ListPolicies", Scope="Local")["Policies"]
        assert (policy["AttachmentCount"], policy["PermissionsBoundaryUsageCount"]) == (0, 1)

    @pytest.mark.docs
    def test_entities_of_a_policy(self, iam: Iam) -> None:
        arn = iam.policy()
        for kind in HOLDERS:
            iam.call(f"Attach{kind}Policy", PolicyArn=arn, **make(iam, kind))
        iam.role("bounded", PermissionsBoundary=arn)
        answer = iam.call("ListEntitiesForPolicy", PolicyArn=arn)
        assert [one["RoleName"] for one in answer["PolicyRoles"]] == ["bounded", "x"]
        assert [one["UserName"] for one in answer["PolicyUsers"]] == ["x"]
        assert [one["GroupName"] for one in answer["PolicyGroups"]] == ["x"]
        only = iam.call(
            "ListEntitiesForPolicy",
            PolicyArn=arn,
            EntityFilter="Role",
            PolicyUsageFilter="PermissionsPolicy",
        )
        assert [one["RoleName"] for one in only["PolicyRoles"]] == ["x"]
        assert only["PolicyUsers"] == only["PolicyGroups"] == []


@pytest.mark.parametrize("kind", HOLDERS)
class TestHolderPolicies:
    @pytest.mark.model
    def test_inline_policies(self, iam: Iam, kind: str) -> None:
        who = make(iam, kind)
        for name in ("b", "a"):
            iam.call(f"Put{kind}Policy", PolicyName=name, PolicyDocument=ALLOW, **who)
        assert iam.call(f"List{kind}Policies", **who)["PolicyNames"] == ["a", "b"]
        found = iam.call(f"Get{kind}Policy", PolicyName="a", **who)
        assert unquote(found["PolicyDocument"]) == ALLOW
        iam.call(f"Delete{kind}Policy", PolicyName="a", **who)
        words = f"The {kind.lower()} policy with name a cannot be found."
        for operation in ("Get", "Delete"):
            with refused(*NOT_FOUND, words):
                iam.call(f"{operation}{kind}Policy", PolicyName="a", **who)
        with refused("MalformedPolicyDocument", 400):
            iam.call(f"Put{kind}Policy", PolicyName="bad", PolicyDocument="x", **who)

    @pytest.mark.docs
    def test_inline_policies_share_a_size(self, iam: Iam, kind: str) -> None:
        who = make(iam, kind)
        limit = {"User": 2048, "Group": 5120, "Role": 10240}[kind]
        large = json.loads(ALLOW)
        large["Statement"][0]["Sid"] = "x" * (limit - 150)
        iam.call(f"Put{kind}Policy", PolicyName="a", PolicyDocument=json.dumps(large), **who)
        with refused("LimitExceeded", 409, f"Maximum policy size of {limit} bytes exceeded"):
            iam.call(f"Put{kind}Policy", PolicyName="b", PolicyDocument=ALLOW, **who)

    @pytest.mark.observed
    def test_attaching(self, iam: Iam, kind: str) -> None:
        who = make(iam, kind)
        for _ in range(2):
            iam.call(f"Attach{kind}Policy", PolicyArn=S3_READ, **who)
        answer = iam.call(f"ListAttached{kind}Policies", **who)
        assert answer["AttachedPolicies"] == [
            {"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": S3_READ}
        ]
        assert iam.call(f"ListAttached{kind}Policies", PathPrefix="/x/", **who) == {
            "AttachedPolicies": [],
            "IsTruncated": False,
        }
        assert iam.call("GetPolicy", PolicyArn=S3_READ)["Policy"]["AttachmentCount"] == 1
        iam.call(f"Detach{kind}Policy", PolicyArn=S3_READ, **who)
        with refused(*NOT_FOUND, f"Policy {S3_READ} was not found."):
            iam.call(f"Detach{kind}Policy", PolicyArn=S3_READ, **who)
        with refused(*NOT_FOUND, "does not exist or is not attachable"):
            iam.call(f"Attach{kind}Policy", PolicyArn="arn:aws:iam::aws:policy/No", **who)
        with refused("PolicyNotAttachable", 400, "Service Role Policy"):
            iam.call(
                f"Attach{kind}Policy",
                PolicyArn="arn:aws:iam::aws:policy/aws-service-role/"
                "AWSApplicationAutoscalingSageMakerEndpointPolicy",
                **who,
            )

    @pytest.mark.docs
    def test_ten_at_most(self, iam: Iam, kind: str) -> None:
        who = make(iam, kind)
        for number in range(10):
            iam.call(f"Attach{kind}Policy", PolicyArn=iam.policy(f"p{number}"), **who)
        with refused("LimitExceeded", 409, f"Cannot exceed quota for PoliciesPer{kind}: 10"):
            iam.call(f"Attach{kind}Policy", PolicyArn=S3_READ, **who)


class TestPaging:
    @given(st.sets(st.text(max_size=5)), st.integers(1, 4))
    def test_pages_put_together_are_everything_in_order(self, keys: set[str], size: int) -> None:
        seen: list[str] = []
        params: dict[str, Any] = {"MaxItems": size}
        while True:
            shown, more = page(params, list(keys), str)
            seen += shown
            if not more["IsTruncated"]:
                break
            assert len(shown) == size
            params["Marker"] = more["Marker"]
        assert seen == sorted(keys)

    @pytest.mark.model
    def test_a_listing_goes_by_a_hundred(self, iam: Iam) -> None:
        for number in range(101):
            iam.user(f"u{number:03d}")
        first = iam.call("ListUsers")
        assert (len(first["Users"]), first["IsTruncated"]) == (100, True)
        iam.call("DeleteUser", UserName="u099")
        second = iam.call("ListUsers", Marker=first["Marker"])
        assert [user["UserName"] for user in second["Users"]] == ["u100"]
        with refused("ValidationError", 400, "Invalid Marker"):
            iam.call("ListUsers", Marker="?")


class TestAccount:
    @pytest.mark.docs
    def test_summary_counts(self, iam: Iam) -> None:
        iam.keyring.ensure_root_key(NOW)
        iam.user()
        iam.role()
        iam.role("second")
        arn = iam.policy()
        iam.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=ALLOW)
        summary = iam.call("GetAccountSummary")["SummaryMap"]
        names = ("Users", "Groups", "Roles", "Policies", "PolicyVersionsInUse")
        assert [summary[name] for name in names] == [1, 0, 2, 1, 2]
        assert summary["AccountAccessKeysPresent"] == 1

    @pytest.mark.docs
    def test_one_alias(self, iam: Iam) -> None:
        assert iam.call("ListAccountAliases")["AccountAliases"] == []
        for alias in ("one", "two"):
            iam.call("CreateAccountAlias", AccountAlias=alias)
        assert iam.call("ListAccountAliases")["AccountAliases"] == ["two"]
        with refused(*NOT_FOUND):
            iam.call("DeleteAccountAlias", AccountAlias="one")
        iam.call("DeleteAccountAlias", AccountAlias="two")
        assert iam.call("ListAccountAliases")["AccountAliases"] == []

    @pytest.fixture
    def full(self, iam: Iam) -> Iam:
        own = iam.policy()
        for kind in HOLDERS:
            who = make(iam, kind)
            iam.call(f"Put{kind}Policy", PolicyName="inline", PolicyDocument=ALLOW, **who)
            iam.call(f"Attach{kind}Policy", PolicyArn=own, **who)
        iam.call("AttachRolePolicy", RoleName="x", PolicyArn=S3_READ)
        iam.call("AddUserToGroup", UserName="x", GroupName="x")
        iam.call("CreateInstanceProfile", InstanceProfileName="p")
        iam.call("AddRoleToInstanceProfile", InstanceProfileName="p", RoleName="x")
        return iam

    @pytest.mark.docs
    def test_authorization_details_hold_everything(self, full: Iam) -> None:
        answer = full.call("GetAccountAuthorizationDetails")
        (user,), (group,), (role,) = (
            answer[f"{kind}DetailList"] for kind in ("User", "Group", "Role")
        )
        assert user["GroupList"] == ["x"]
        for detail, inline in (
            (user, "UserPolicyList"),
            (group, "GroupPolicyList"),
            (role, "RolePolicyList"),
        ):
            (entry,) = detail[inline]
            assert (entry["PolicyName"], unquote(entry["PolicyDocument"])) == ("inline", ALLOW)
            assert detail["AttachedManagedPolicies"][0]["PolicyName"] == "read"
        assert role["InstanceProfileList"][0]["Roles"][0]["RoleName"] == "x"
        assert role["RoleLastUsed"] == {}
        assert [policy["PolicyName"] for policy in answer["Policies"]] == [
            "read",
            "AmazonS3ReadOnlyAccess",
        ]
        (version,) = answer["Policies"][0]["PolicyVersionList"]
        assert unquote(version["Document"]) == ALLOW

    @pytest.mark.docs
    def test_authorization_details_are_filtered_and_paged(self, full: Iam) -> None:
        only = full.call("GetAccountAuthorizationDetails", Filter=["Role", "AWSManagedPolicy"])
        assert only["UserDetailList"] == only["GroupDetailList"] == []
        assert [one["PolicyName"] for one in only["Policies"]] == ["AmazonS3ReadOnlyAccess"]
        lists = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
        seen: dict[str, int] = dict.fromkeys(lists, 0)
        params: dict[str, Any] = {"MaxItems": 1}
        while True:
            answer = full.call("GetAccountAuthorizationDetails", **params)
            assert sum(len(answer[name]) for name in lists) == 1
            for name in lists:
                seen[name] += len(answer[name])
            if not answer["IsTruncated"]:
                break
            params["Marker"] = answer["Marker"]
        assert list(seen.values()) == [1, 1, 1, 2]
