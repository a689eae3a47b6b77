"""PutFunctionEventInvokeConfig, UpdateFunctionEventInvokeConfig, GetFunctionEventInvokeConfig,
ListFunctionEventInvokeConfigs, DeleteFunctionEventInvokeConfig.

Source: Lambda Developer Guide, "Invoking a Lambda function asynchronously".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import (
    LATEST,
    Alias,
    EventInvokeConfig,
    Function,
    FunctionVersion,
)
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.directory import Directory
from fogbank.cloud.services.lambda_.names import FunctionName, named, unqualified
from fogbank.cloud.services.lambda_.paging import page
from fogbank.cloud.services.lambda_.refusals import function_not_found, invalid, not_found

_SERVICES = ("lambda", "sqs", "sns", "events", "s3")
"""Where the outcome of an event may be sent."""


@dataclass(frozen=True, slots=True)
class _Destinations:
    """ARNs; None for none."""

    on_success: str | None
    on_failure: str | None

    def __str__(self) -> str:
        return (
            f"DestinationConfig(onSuccess={_java('OnSuccess', self.on_success)}, "
            f"onFailure={_java('OnFailure', self.on_failure)})"
        )


class EventInvokeConfigs:
    """Retries, age and destinations of asynchronous events; each for one version or alias."""

    def __init__(self, *, records: Records, directory: Directory) -> None:
        self._records = records
        self._directory = directory

    @operation("PutFunctionEventInvokeConfig")
    def put(self, context: Context, params: Params) -> Result:
        """What is not given is taken away."""
        target = self._target(params)
        self._check_exists(target)
        config = EventInvokeConfig(
            function=target.name,
            qualifier=target.qualifier,
            arn=self._directory.arn(target.name, target.qualifier),
            modified=context.received,
        )
        return self._write(config, params, context.received)

    @operation("UpdateFunctionEventInvokeConfig")
    def update(self, context: Context, params: Params) -> Result:
        """What is not given stays."""
        target = self._target(params)
        return self._write(self._existing(target), params, context.received)

    @operation("GetFunctionEventInvokeConfig")
    def get(self, context: Context, params: Params) -> Result:
        return _shown(self._existing(self._target(params)))

    @operation("ListFunctionEventInvokeConfigs")
    def list(self, context: Context, params: Params) -> Result:
        name = unqualified(params, self._directory.scope)
        if self._records.get(Function, name) is None:
            raise not_found("The function doesn't exist.")
        found = self._records.all(EventInvokeConfig, prefix=f"{name}:")
        shown, more = page(params, found, lambda config: config.qualifier)
        return {"FunctionEventInvokeConfigs": [_shown(config) for config in shown], **more}

    @operation("DeleteFunctionEventInvokeConfig")
    def delete(self, context: Context, params: Params) -> Result:
        config = self._existing(self._target(params))
        self._records.delete(EventInvokeConfig, config.key)
        return {}

    def _target(self, params: Params) -> FunctionName:
        target = named(params, self._directory.scope)
        return target if target.qualifier else FunctionName(target.name, LATEST)

    def _existing(self, target: FunctionName) -> EventInvokeConfig:
        found = self._records.get(EventInvokeConfig, f"{target.name}:{target.qualifier}")
        if found is None:
            arn = self._directory.arn(target.name, target.qualifier)
            raise not_found(f"The function {arn} doesn't have an EventInvokeConfig")
        return found

    def _check_exists(self, target: FunctionName) -> None:
        key = f"{target.name}:{target.qualifier}"
        kind = Alias if target.is_alias else FunctionVersion
        if self._records.get(kind, key) is None:
            raise not_found("The function doesn't exist.")

    def _write(self, config: EventInvokeConfig, params: Params, now: datetime) -> Result:
        asked = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
        if all(params.get(name) is None for name in asked):
            raise invalid("You must specify at least one of error handling or destination setting.")
        given = params.get("DestinationConfig", {})
        destinations = _Destinations(
            _destination(given, "OnSuccess", config.on_success_arn),
            _destination(given, "OnFailure", config.on_failure_arn),
        )
        for arn in (destinations.on_success, destinations.on_failure):
            if arn is not None:
                self._check_destination(arn, config.function, destinations)
        config = replace(
            config,
            max_retries=params.get("MaximumRetryAttempts", config.max_retries),
            max_event_age_s=params.get("MaximumEventAgeInSeconds", config.max_event_age_s),
            on_success_arn=destinations.on_success,
            on_failure_arn=destinations.on_failure,
            modified=now,
        )
        self._records.put(config)
        return _shown(config)

    def _check_destination(self, arn: str, function: str, both: _Destinations) -> None:
        service = arn.split(":")[2]
        if service not in _SERVICES:
            raise invalid(f"The provided destination config {both} is invalid.")
        if service != "lambda":
            return
        try:
            target = named({"FunctionName": arn}, self._directory.scope)
            if target.name == function:
                raise invalid("You can't specify the function as a destination for itself.")
            if self._records.get(Function, target.name) is None:
                raise function_not_found(arn)
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise
            raise invalid(f"The destination ARN {arn} is invalid.") from error


def _destination(given: Mapping[str, Any], side: str, before: str | None) -> str | None:
    if side not in given:
        return before
    return given[side].get("Destination") or None


def _java(kind: str, arn: str | None) -> str:
    """As AWS's text shows it."""
    return f"{kind}(destination={arn})" if arn is not None else "null"


def _shown(config: EventInvokeConfig) -> Result:
    shown: dict[str, Any] = {
        "LastModified": config.modified,
        "FunctionArn": config.arn,
        "DestinationConfig": {
            "OnSuccess": {"Destination": config.on_success_arn} if config.on_success_arn else {},
            "OnFailure": {"Destination": config.on_failure_arn} if config.on_failure_arn else {},
        },
    }
    if config.max_retries is not None:
        shown["MaximumRetryAttempts"] = config.max_retries
    if config.max_event_age_s is not None:
        shown["MaximumEventAgeInSeconds"] = config.max_event_age_s
    return shown
