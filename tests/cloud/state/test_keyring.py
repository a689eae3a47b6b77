from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloud.aws import NOW, SCOPE
from fogbank.cloud.records.iam import Role, User
from fogbank.cloud.records.identity import AccessKey, Session
from fogbank.cloud.services.iam.bootstrap import ensure_notebook_role
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.keyring import RecordsKeyring, unique_id
from fogbank.cloud.state.records import SqliteRecords


@pytest.fixture
def records() -> Iterator[SqliteRecords]:
    database = Database(":memory:")
    yield SqliteRecords(database)
    database.close()


@pytest.fixture
def keyring(records: SqliteRecords) -> RecordsKeyring:
    return RecordsKeyring(records, SCOPE)


def a_user(name: str = "ada") -> User:
    return User(
        name=name,
        path="/",
        unique_id=unique_id("AIDA"),
        arn=SCOPE.global_arn("iam", f"user/{name}"),
        created=NOW,
    )


@pytest.mark.docs
def test_ids_and_secrets_have_the_shapes_that_aws_gives_them(
    keyring: RecordsKeyring, records: SqliteRecords
) -> None:
    role = ensure_notebook_role(records, SCOPE, NOW)
    key = keyring.issue_access_key(None, now=NOW)
    session = keyring.issue_role_session(role.arn, "nb", duration_s=900, now=NOW)
    assert re.fullmatch(r"AROA[A-Z2-7]{17}", role.unique_id)
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key.access_key_id)
    assert re.fullmatch(r"ASIA[A-Z2-7]{16}", session.access_key_id)
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", key.secret_access_key)
    assert len(session.session_token) >= 300


def test_secrets_do_not_show_in_a_repr(keyring: RecordsKeyring) -> None:
    key = keyring.ensure_root_key(NOW)
    assert key.secret_access_key not in repr(key)


def test_the_root_key_is_made_once_and_survives_a_restart(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        database = Database(tmp_path / "fogbank.db")
        found.append(RecordsKeyring(SqliteRecords(database), SCOPE).ensure_root_key(NOW))
        database.close()
    assert found[0] == found[1]


def test_a_root_key_is_found_as_the_account_itself(keyring: RecordsKeyring) -> None:
    key = keyring.ensure_root_key(NOW)
    found = keyring.find(key.access_key_id)
    assert found is not None
    assert (found.principal.kind, found.principal.user_id) == ("root", SCOPE.account)
    assert found.principal.arn == f"arn:aws:iam::{SCOPE.account}:root"
    assert (found.session_token, found.expires) == (None, None)


def test_unknown_inactive_and_orphaned_keys_are_not_found(
    keyring: RecordsKeyring, records: SqliteRecords
) -> None:
    records.put(a_user())
    key = keyring.issue_access_key("ada", now=NOW)
    found = keyring.find(key.access_key_id)
    assert found is not None
    assert found.principal.kind == "user"
    records.put(replace(key, status="Inactive"))
    assert keyring.find(key.access_key_id) is None
    records.put(key)
    records.delete(User, "ada")
    assert keyring.find(key.access_key_id) is None
    assert keyring.find("AKIAUNKNOWN") is None


@pytest.mark.docs
def test_a_role_session_is_an_assumed_role_with_the_roles_id(
    keyring: RecordsKeyring, records: SqliteRecords
) -> None:
    role = ensure_notebook_role(records, SCOPE, NOW)
    issued = keyring.issue_role_session(role.arn, "nb", duration_s=900, now=NOW)
    found = keyring.find(issued.access_key_id)
    assert found is not None
    assert found.principal == issued.principal
    assert found.principal.arn == f"arn:aws:sts::{SCOPE.account}:assumed-role/{role.name}/nb"
    assert found.principal.user_id == f"{role.unique_id}:nb"
    assert found.principal.role_arn == role.arn
    assert found.session_token == issued.session_token
    assert found.expires == NOW + timedelta(seconds=900)


def test_a_session_ends_with_its_role_also_when_the_role_comes_back(
    keyring: RecordsKeyring, records: SqliteRecords
) -> None:
    role = ensure_notebook_role(records, SCOPE, NOW)
    issued = keyring.issue_role_session(role.arn, "nb", duration_s=900, now=NOW)
    records.delete(Role, role.key)
    assert keyring.find(issued.access_key_id) is None
    ensure_notebook_role(records, SCOPE, NOW)
    assert keyring.find(issued.access_key_id) is None


@pytest.mark.parametrize("arn", ["nowhere", "arn:aws:iam::123456789012:role/other/FogbankNotebook"])
def test_a_role_that_does_not_exist_is_a_lookup_error(
    keyring: RecordsKeyring, records: SqliteRecords, arn: str
) -> None:
    ensure_notebook_role(records, SCOPE, NOW)
    with pytest.raises(LookupError):
        keyring.issue_role_session(arn, "nb", duration_s=900, now=NOW)


def test_a_user_session_follows_its_user_through_a_new_name(
    keyring: RecordsKeyring, records: SqliteRecords
) -> None:
    user = a_user()
    records.put(user)
    key = keyring.find(keyring.issue_access_key("ada", now=NOW).access_key_id)
    assert key is not None
    issued = keyring.issue_session_token(key.principal, duration_s=900, now=NOW)
    records.delete(User, "ada")
    assert keyring.find(issued.access_key_id) is None
    renamed = replace(user, name="lady", arn=SCOPE.global_arn("iam", "user/lady"))
    records.put(renamed)
    found = keyring.find(issued.access_key_id)
    assert found is not None
    assert found.principal.arn == renamed.arn


def test_long_expired_sessions_are_swept_and_fresh_ones_stay(
    keyring: RecordsKeyring, records: SqliteRecords
) -> None:
    role = ensure_notebook_role(records, SCOPE, NOW)
    old = keyring.issue_role_session(role.arn, "old", duration_s=900, now=NOW)
    recent = keyring.issue_role_session(
        role.arn, "recent", duration_s=900, now=NOW + timedelta(days=1)
    )
    keyring.issue_role_session(role.arn, "new", duration_s=900, now=NOW + timedelta(days=1.5))
    assert records.get(Session, old.access_key_id) is None
    assert keyring.find(recent.access_key_id) is not None


def test_use_is_noted_in_steps_for_keys_and_for_the_role_of_a_session(
    keyring: RecordsKeyring, records: SqliteRecords
) -> None:
    role = ensure_notebook_role(records, SCOPE, NOW)
    key = keyring.ensure_root_key(NOW)
    session = keyring.issue_role_session(role.arn, "nb", duration_s=900, now=NOW)
    for seconds in (0, 60, 901):
        keyring.note_use(key.access_key_id, "s3", NOW + timedelta(seconds=seconds))
        keyring.note_use(session.access_key_id, "s3", NOW + timedelta(seconds=seconds))
        if seconds == 60:
            noted = records.get(AccessKey, key.access_key_id)
            assert noted is not None
            assert noted.last_used == NOW
    noted = records.get(AccessKey, key.access_key_id)
    used = records.get(Role, role.key)
    assert noted is not None
    assert used is not None
    assert noted.last_used == used.last_used == NOW + timedelta(seconds=901)
    assert (noted.last_used_service, used.last_used_region) == ("s3", "us-east-1")


def test_the_service_of_the_last_use_is_that_of_the_last_one(
    keyring: RecordsKeyring, records: SqliteRecords
) -> None:
    key = keyring.ensure_root_key(NOW)
    for seconds, service in enumerate(("s3", "s3", "sagemaker", "s3")):
        keyring.note_use(key.access_key_id, service, NOW + timedelta(seconds=seconds))
        noted = records.get(AccessKey, key.access_key_id)
        assert noted is not None
        assert (noted.last_used_service, noted.last_used) == (
            service,
            NOW if seconds < 2 else NOW + timedelta(seconds=seconds),
        )


def test_a_use_that_need_not_be_noted_puts_nothing_off(
    keyring: RecordsKeyring, records: SqliteRecords
) -> None:
    """The quarter of an hour counts from what is written, not from the use that was not."""
    role = ensure_notebook_role(records, SCOPE, NOW)
    one = keyring.issue_role_session(role.arn, "one", duration_s=900, now=NOW).access_key_id
    two = keyring.issue_role_session(role.arn, "two", duration_s=900, now=NOW).access_key_id
    keyring.note_use(one, "s3", NOW)
    keyring.note_use(two, "s3", NOW + timedelta(minutes=10))
    keyring.note_use(two, "s3", NOW + timedelta(minutes=16))
    used = records.get(Role, role.key)
    assert used is not None
    assert used.last_used == NOW + timedelta(minutes=16)
