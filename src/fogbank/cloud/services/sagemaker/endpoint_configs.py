"""CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Records
from fogbank.cloud.records.hosting import EndpointConfig, Model
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.sagemaker.listing import Entry, page
from fogbank.cloud.services.sagemaker.refusals import (
    already_exists,
    first_repeated,
    not_found,
    refuse_unsupported,
)
from fogbank.cloud.services.sagemaker.tags import new_tags
from fogbank.core.arn import Scope

_CREATE = "CreateEndpointConfig"

_UNSUPPORTED = (
    "AsyncInferenceConfig",
    "CrossRegionTrafficConfig",
    "DataCaptureConfig",
    "ExplainerConfig",
    "ShadowProductionVariants",
)

_UNSUPPORTED_OF_A_VARIANT = (
    "AcceleratorPartitionLayouts",
    "CapacityReservationConfig",
    "CoreDumpConfig",
    "InstancePools",
    "ManagedInstanceScaling",
    "ServerlessConfig",
)

_STRATEGIES = ("LEAST_OUTSTANDING_REQUESTS", "RANDOM")

_VERBATIM = ("KmsKeyId", "ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation", "MetricsConfig")


class EndpointConfigs:
    """An endpoint configuration says which models an endpoint serves, on what, in which shares."""

    def __init__(self, *, records: Records, scope: Scope) -> None:
        self._records = records
        self._scope = scope

    @operation("CreateEndpointConfig")
    def create(self, context: Context, params: Params) -> Result:
        name: str = params["EndpointConfigName"]
        arn = self._arn(name)
        if self._records.get(EndpointConfig, name) is not None:
            raise already_exists("endpoint configuration", arn)
        refuse_unsupported(params, _UNSUPPORTED, _CREATE)
        variants = params["ProductionVariants"]
        repeated = first_repeated(variant["VariantName"] for variant in variants)
        if repeated is not None:
            raise ValidationException(
                f"Variant names must be unique within an endpoint configuration: {repeated} is "
                "repeated."
            )
        for variant in variants:
            self._check_variant(variant)
        config = EndpointConfig(name=name, arn=arn, request=dict(params), created=context.received)
        self._records.put(config, *new_tags(arn, params))
        return {"EndpointConfigArn": arn}

    @operation("DescribeEndpointConfig")
    def describe(self, context: Context, params: Params) -> Result:
        config = self._config(params)
        return {
            "EndpointConfigName": config.name,
            "EndpointConfigArn": config.arn,
            "CreationTime": config.created,
            "ProductionVariants": [
                {"InitialVariantWeight": 1.0, **variant}
                for variant in config.request["ProductionVariants"]
            ],
            **{name: config.request[name] for name in _VERBATIM if name in config.request},
        }

    @operation("ListEndpointConfigs")
    def list(self, context: Context, params: Params) -> Result:
        entries = (
            Entry(
                config.name,
                config.created,
                {
                    "EndpointConfigName": config.name,
                    "EndpointConfigArn": config.arn,
                    "CreationTime": config.created,
                },
            )
            for config in self._records.all(EndpointConfig)
        )
        return page(params, entries, default_order="Descending").answer("EndpointConfigs")

    @operation("DeleteEndpointConfig")
    def delete(self, context: Context, params: Params) -> Result:
        """Allowed while an endpoint uses it: SDK v2 deletes the configuration first."""
        config = self._config(params)
        with self._records.transaction():
            self._records.delete(EndpointConfig, config.name)
            self._records.delete(Tags, config.arn)
        return {}

    def _check_variant(self, variant: Mapping[str, Any]) -> None:
        name = variant["VariantName"]
        refuse_unsupported(variant, _UNSUPPORTED_OF_A_VARIANT, f"{_CREATE}, variant {name}")
        for needed in ("ModelName", "InstanceType", "InitialInstanceCount"):
            if needed not in variant:
                raise ValidationException(f"Production variant {name} needs {needed}.")
        strategy = variant.get("RoutingConfig", {}).get("RoutingStrategy", "RANDOM")
        if strategy not in _STRATEGIES:
            raise ValidationException(
                f"Fogbank does not support the routing strategy {strategy} of variant {name} yet: "
                f"use {' or '.join(_STRATEGIES)}."
            )
        if self._records.get(Model, variant["ModelName"]) is None:
            model_arn = self._scope.arn("sagemaker", f"model/{variant['ModelName']}")
            raise not_found("model", model_arn)

    def _arn(self, name: str) -> str:
        return self._scope.arn("sagemaker", f"endpoint-config/{name}")

    def _config(self, params: Params) -> EndpointConfig:
        config = self._records.get(EndpointConfig, params["EndpointConfigName"])
        if config is None:
            raise not_found("endpoint configuration", self._arn(params["EndpointConfigName"]))
        return config
