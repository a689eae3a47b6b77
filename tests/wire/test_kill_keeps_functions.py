"""A cloud that is killed has its functions, versions, aliases, URLs and code when it is back."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from fogbank.testing.cloud import RunningCloud

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    running = RunningCloud(tmp_path / "home").start()
    yield running
    running.stop()


def test_functions_outlive_a_kill(cloud: RunningCloud) -> None:
    role = cloud.client("iam").create_role(
        RoleName="function", AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]["Arn"]
    lambda_ = cloud.client("lambda")
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        made.writestr("index.py", "def handler(event, context): return context.function_version")
    name = {"FunctionName": "dogs"}
    lambda_.create_function(
        **name,
        Runtime="python3.12",
        Role=role,
        Handler="index.handler",
        Code={"ZipFile": held.getvalue()},
        Publish=True,
        Tags={"team": "vision"},
    )
    lambda_.create_alias(**name, Name="live", FunctionVersion="1")
    lambda_.put_function_concurrency(**name, ReservedConcurrentExecutions=5)
    url = lambda_.create_function_url_config(**name, AuthType="NONE")["FunctionUrl"]
    permissions: tuple[tuple[str, dict[str, Any]], ...] = (
        ("lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
        ("lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
    )
    for action, more in permissions:
        lambda_.add_permission(
            **name, StatementId=action.partition(":")[2], Action=action, Principal="*", **more
        )
    before = lambda_.get_function(**name)
    cloud.kill()
    cloud.start()
    lambda_.get_waiter("published_version_active").wait(
        **name, Qualifier="1", WaiterConfig={"Delay": 1}
    )
    after = lambda_.get_function(**name)
    assert after["Configuration"]["CodeSha256"] == before["Configuration"]["CodeSha256"]
    assert after["Tags"] == {"team": "vision"}
    assert after["Concurrency"] == {"ReservedConcurrentExecutions": 5}
    answer = lambda_.invoke(FunctionName="dogs:live")
    assert (json.load(answer["Payload"]), answer["ExecutedVersion"]) == ("1", "1")
    with urlopen(url) as served:
        assert json.load(served) == "$LATEST"
    with urlopen(after["Code"]["Location"]) as downloaded:
        assert downloaded.read() == held.getvalue()
    # Links are signed with a key of the process that is gone.
    with pytest.raises(HTTPError, match="403"):
        urlopen(before["Code"]["Location"])
