"""How Lambda describes a version: a record in, the members of FunctionConfiguration out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from fogbank.cloud.records.function import FunctionVersion

LayerSize = Callable[[str], int]
"""Size in bytes of the zip of the layer version with that ARN."""

_ALWAYS = {
    "Description": "",
    "TracingConfig": {"Mode": "PassThrough"},
    "Architectures": ["x86_64"],
}


def configuration(
    version: FunctionVersion, layer_size: LayerSize, *, arn: str | None = None
) -> dict[str, Any]:
    """What GetFunctionConfiguration, Create* and Update* answer.

    arn: shown instead of the version's own, where the caller named it in another way.
    """
    members = brief(version, layer_size, arn=arn)
    members["State"] = version.state
    if version.state_reason is not None:
        members["StateReason"] = version.state_reason
    if version.state_reason_code is not None:
        members["StateReasonCode"] = version.state_reason_code
    # A version that is being made has no update to tell of.
    if version.state != "Pending":
        members["LastUpdateStatus"] = version.update_status
    if version.update_reason is not None:
        members["LastUpdateStatusReason"] = version.update_reason
    if version.update_reason_code is not None:
        members["LastUpdateStatusReasonCode"] = version.update_reason_code
    return members


def brief(
    version: FunctionVersion, layer_size: LayerSize, *, arn: str | None = None
) -> dict[str, Any]:
    """What the lists show: all but the states."""
    members: dict[str, Any] = {
        **_ALWAYS,
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{version.function}"},
        **{k: v for k, v in version.settings.items() if k not in ("SnapStart", "LoggingConfig")},
        "FunctionName": version.function,
        "FunctionArn": arn or version.arn,
        "Runtime": version.runtime,
        "Role": version.role_arn,
        "Handler": version.handler,
        "CodeSize": version.code_size_bytes,
        "CodeSha256": version.code_sha256,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "EphemeralStorage": {"Size": version.ephemeral_storage_mb},
        "LastModified": moment(version.modified),
        "Version": version.version,
        "PackageType": "Zip",
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "RevisionId": version.revision_id,
    }
    members["LoggingConfig"] |= version.settings.get("LoggingConfig", {})
    if version.environment:
        members["Environment"] = {"Variables": dict(version.environment)}
    if version.dead_letter_arn:
        members["DeadLetterConfig"] = {"TargetArn": version.dead_letter_arn}
    if version.layers:
        members["Layers"] = [{"Arn": arn, "CodeSize": layer_size(arn)} for arn in version.layers]
    vpc: Mapping[str, Any] | None = version.settings.get("VpcConfig")
    if vpc is not None:
        members["VpcConfig"] = {"SubnetIds": [], "SecurityGroupIds": [], **vpc, "VpcId": ""}
    return members


def moment(when: datetime) -> str:
    """`2023-03-10T12:34:56.000+0000`, as Lambda writes times into strings."""
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}+0000"
