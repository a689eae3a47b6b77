"""CreateFunction's and UpdateFunctionConfiguration's input -> the settings of a version.

What the model allows and Lambda does not, or Fogbank does not carry out, is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fogbank.cloud.context import Params
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import FunctionVersion
from fogbank.cloud.rules import function_settings as rules
from fogbank.cloud.services.lambda_.code import layer_version
from fogbank.cloud.services.lambda_.refusals import invalid, refuse_unsupported

RoleTrusts = Callable[[str], bool]
"""Whether IAM has a role of that ARN that Lambda may assume."""

_KEPT = (
    "Description",
    "TracingConfig",
    "VpcConfig",
    "KMSKeyArn",
    "LoggingConfig",
    "Architectures",
    "SnapStart",
)
"""Kept and shown; they change nothing here but where the log goes."""

_UNSUPPORTED = (
    "ImageConfig",
    "FileSystemConfigs",
    "CodeSigningConfigArn",
    "TenancyConfig",
    "CapacityProviderConfig",
    "DurableConfig",
    "RuntimeConfig",
    "AcceleratorConfig",
    "PublishTo",
)


class SettingsReader:
    """Reads settings; needs to know which roles and layers there are."""

    def __init__(self, records: Records, role_trusts: RoleTrusts) -> None:
        self._records = records
        self._role_trusts = role_trusts

    def check_create(self, params: Params) -> None:
        """What only CreateFunction has: packages and mandatory members."""
        if params.get("PackageType") == "Image":
            raise invalid(
                "Fogbank runs functions from zip archives: PackageType Image is not supported. "
                "Nothing was created."
            )
        if not params.get("Runtime") or not params.get("Handler"):
            raise invalid(
                "Runtime and Handler are mandatory parameters for functions created with "
                "deployment packages."
            )

    def apply(self, before: FunctionVersion, params: Params, operation: str) -> FunctionVersion:
        """`before` with the members that `params` has. Raises InvalidParameterValueException."""
        refuse_unsupported(params, _UNSUPPORTED, operation)
        if params.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions":
            raise invalid(
                f"Fogbank does not support SnapStart in {operation}. Nothing was changed."
            )
        _check_logging(params.get("LoggingConfig", {}))
        after = replace(
            before,
            runtime=params.get("Runtime", before.runtime),
            handler=params.get("Handler", before.handler),
            role_arn=params.get("Role", before.role_arn),
            timeout_s=params.get("Timeout", before.timeout_s),
            memory_mb=params.get("MemorySize", before.memory_mb),
            ephemeral_storage_mb=params.get("EphemeralStorage", {}).get(
                "Size", before.ephemeral_storage_mb
            ),
            environment=_variables(params, before.environment),
            layers=tuple(params.get("Layers", before.layers)),
            dead_letter_arn=_dead_letter(params, before.dead_letter_arn),
            settings={**before.settings, **{k: params[k] for k in _KEPT if k in params}},
        )
        self._check(after, params)
        return after

    def _check(self, version: FunctionVersion, params: Params) -> None:
        rules.check_runtime(version.runtime)
        rules.check_limits(version.timeout_s, version.memory_mb, version.ephemeral_storage_mb)
        if "Environment" in params:
            rules.check_environment(version.environment)
        if "Role" in params and not self._role_trusts(version.role_arn):
            raise invalid("The role defined for the function cannot be assumed by Lambda.")
        if "Layers" in params:
            rules.check_layers(version.layers)
            for arn in version.layers:
                found = layer_version(self._records, arn)
                if found is None or found.deleted:
                    raise invalid(f"Layer version {arn} does not exist.")


def _check_logging(config: Mapping[str, Any]) -> None:
    """Levels are for logs in JSON."""
    if config.get("LogFormat") == "JSON" or set(config) - {"LogFormat", "LogGroup"}:
        raise invalid(
            "Fogbank writes the logs of functions as text: LogFormat JSON and log levels are not "
            "supported. Nothing was changed."
        )


def _variables(params: Params, before: Mapping[str, str]) -> dict[str, str]:
    if "Environment" not in params:
        return dict(before)
    variables: Mapping[str, str] = params["Environment"].get("Variables", {})
    return dict(variables)


def _dead_letter(params: Params, before: str | None) -> str | None:
    if "DeadLetterConfig" not in params:
        return before
    config: Mapping[str, Any] = params["DeadLetterConfig"]
    return config.get("TargetArn") or None
