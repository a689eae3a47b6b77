from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cloud.aws import NOW, ROOT, SCOPE, context, refused
from fogbank.cloud.context import Principal
from fogbank.cloud.records.iam import Role, User
from fogbank.cloud.records.identity import Session
from fogbank.cloud.services.iam.bootstrap import ensure_notebook_role
from fogbank.cloud.services.sts.sessions import Sessions
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.keyring import RecordsKeyring
from fogbank.cloud.state.records import SqliteRecords

USER = Principal(SCOPE.global_arn("iam", "user/ada"), SCOPE.account, "AIDAEXAMPLE", "user")


class Sts:
    """The service over an empty account with the notebook's role and one user."""

    def __init__(self, records: SqliteRecords) -> None:
        self.records = records
        self.keyring = RecordsKeyring(records, SCOPE)
        self.sessions = Sessions(records, self.keyring)
        self.role = ensure_notebook_role(records, SCOPE, NOW)
        records.put(User(name="ada", path="/", unique_id="AIDAEXAMPLE", arn=USER.arn, created=NOW))

    def assume(self, caller: Principal = USER, **params: Any) -> Any:
        asked = {"RoleArn": self.role.arn, "RoleSessionName": "nb", **params}
        return self.sessions.assume_role(context(caller), asked)


@pytest.fixture
def sts() -> Iterator[Sts]:
    database = Database(":memory:")
    yield Sts(SqliteRecords(database))
    database.close()


@pytest.mark.docs
@pytest.mark.parametrize("caller", [ROOT, USER])
def test_caller_identity_is_the_principal(sts: Sts, caller: Principal) -> None:
    answer = sts.sessions.get_caller_identity(context(caller), {})
    assert answer == {"UserId": caller.user_id, "Account": SCOPE.account, "Arn": caller.arn}


@pytest.mark.docs
def test_assume_role_gives_credentials_that_the_keyring_knows(sts: Sts) -> None:
    answer = sts.assume()
    key = sts.keyring.find(answer["Credentials"]["AccessKeyId"])
    assert key is not None
    assert key.secret_access_key == answer["Credentials"]["SecretAccessKey"]
    assert answer["Credentials"]["Expiration"] == NOW + timedelta(hours=1)
    assert answer["AssumedRoleUser"] == {
        "AssumedRoleId": f"{sts.role.unique_id}:nb",
        "Arn": f"arn:aws:sts::{SCOPE.account}:assumed-role/FogbankNotebook/nb",
    }
    assert "PackedPolicySize" not in answer


@pytest.mark.observed
def test_root_may_not_assume_roles(sts: Sts) -> None:
    with refused("AccessDenied", 403, "Roles may not be assumed by root accounts."):
        sts.assume(ROOT)


@pytest.mark.observed
def test_a_role_that_does_not_exist_is_refused_like_one_that_is_forbidden(sts: Sts) -> None:
    arn = SCOPE.global_arn("iam", "role/nobody")
    words = f"User: {USER.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    with refused("AccessDenied", 403, words):
        sts.assume(RoleArn=arn)


@pytest.mark.docs
def test_the_roles_longest_session_bounds_the_duration(sts: Sts) -> None:
    sts.records.put(replace(sts.role, max_session_s=7200))
    assert sts.assume(DurationSeconds=7200)["Credentials"]["Expiration"] == NOW + timedelta(hours=2)
    with refused("ValidationError", 400, "exceeds the MaxSessionDuration set for this role"):
        sts.assume(DurationSeconds=7201)


@pytest.mark.docs
def test_a_chained_role_lives_an_hour_at_most(sts: Sts) -> None:
    session = Principal("arn", SCOPE.account, "AROA:x", "role-session", sts.role.arn)
    assert sts.assume(session, DurationSeconds=3600)
    with refused("ValidationError", 400, "1 hour session limit for roles assumed by role chaining"):
        sts.assume(session, DurationSeconds=3601)


@pytest.mark.docs
def test_session_policies_tags_and_source_identity_are_kept_with_the_session(sts: Sts) -> None:
    policy = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
    )
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    answer = sts.assume(
        Policy=policy,
        PolicyArns=[{"arn": arn}],
        Tags=[{"Key": "team", "Value": "vision"}],
        SourceIdentity="ada",
    )
    assert answer["SourceIdentity"] == "ada"
    assert 1 <= answer["PackedPolicySize"] <= 100
    session = sts.records.get(Session, answer["Credentials"]["AccessKeyId"])
    assert session is not None
    assert (session.policy, session.policy_arns) == (policy, (arn,))
    assert (session.tags, session.source_identity) == ({"team": "vision"}, "ada")


@pytest.mark.model
def test_bad_and_big_session_policies_are_refused(sts: Sts) -> None:
    with refused("MalformedPolicyDocument", 400):
        sts.assume(Policy="{")
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Sid": "x" * 2048}
    with refused("PackedPolicyTooLarge", 400, "please use smaller policy"):
        sts.assume(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


@pytest.mark.docs
@pytest.mark.parametrize(
    ("caller", "asked_s", "given_s"),
    [(USER, None, 43200), (USER, 129600, 129600), (ROOT, None, 3600), (ROOT, 43200, 3600)],
)
def test_session_tokens_keep_the_identity_of_their_caller(
    sts: Sts, caller: Principal, asked_s: int | None, given_s: int
) -> None:
    params = {} if asked_s is None else {"DurationSeconds": asked_s}
    answer: Any = sts.sessions.get_session_token(context(caller), params)
    assert answer["Credentials"]["Expiration"] == NOW + timedelta(seconds=given_s)
    key = sts.keyring.find(answer["Credentials"]["AccessKeyId"])
    assert key is not None
    assert key.principal.arn == caller.arn


@pytest.mark.observed
def test_session_credentials_get_no_session_token(sts: Sts) -> None:
    with refused("AccessDenied", 403, "Cannot call GetSessionToken with session credentials"):
        sts.sessions.get_session_token(context(USER, access_key_id="ASIAEXAMPLE"), {})


def test_the_notebook_role_is_left_as_it_was_changed(sts: Sts) -> None:
    changed = replace(sts.role, description="mine")
    sts.records.put(changed)
    assert ensure_notebook_role(sts.records, SCOPE, NOW) == changed
    assert sts.records.all(Role) == [changed]
