"""CreateEndpoint, DescribeEndpoint, ListEndpoints, UpdateEndpoint,
UpdateEndpointWeightsAndCapacities, DeleteEndpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Records
from fogbank.cloud.records.hosting import Endpoint, EndpointConfig, Variant
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.sagemaker.deployment import new_variants, retain_properties
from fogbank.cloud.services.sagemaker.endpoint_description import (
    describe_endpoint,
    summarize_endpoint,
)
from fogbank.cloud.services.sagemaker.listing import Entry, page
from fogbank.cloud.services.sagemaker.refusals import (
    already_exists,
    first_repeated,
    not_found,
    refuse_unsupported,
)
from fogbank.cloud.services.sagemaker.tags import new_tags
from fogbank.core.arn import Scope


class Endpoints:
    """Endpoints as intent: a machine sees the records, starts and ends containers."""

    def __init__(self, *, records: Records, scope: Scope) -> None:
        self._records = records
        self._scope = scope

    @operation("CreateEndpoint")
    def create(self, context: Context, params: Params) -> Result:
        name: str = params["EndpointName"]
        arn = self._arn(name)
        if self._records.get(Endpoint, name) is not None:
            raise already_exists("endpoint", arn)
        refuse_unsupported(params, ("DeploymentConfig",), "CreateEndpoint")
        config = self._config(params)
        endpoint = Endpoint(
            name=name,
            arn=arn,
            config_name=config.name,
            status="Creating",
            created=context.received,
            modified=context.received,
            pending_variants=new_variants(config, self._records, self._scope, generation=1),
            pending_config=config.name,
            pending_since=context.received,
        )
        self._records.put(endpoint, *new_tags(arn, params))
        return {"EndpointArn": arn}

    @operation("DescribeEndpoint")
    def describe(self, context: Context, params: Params) -> Result:
        return describe_endpoint(self._endpoint(params))

    @operation("ListEndpoints")
    def list(self, context: Context, params: Params) -> Result:
        entries = (
            Entry(
                endpoint.name,
                endpoint.created,
                summarize_endpoint(endpoint),
                endpoint.modified,
                endpoint.status,
            )
            for endpoint in self._records.all(Endpoint)
        )
        return page(params, entries, default_order="Descending").answer("Endpoints")

    @operation("UpdateEndpoint")
    def update(self, context: Context, params: Params) -> Result:
        """A new fleet is started beside the old one, which serves until the new one is healthy."""
        endpoint = self._changeable(params)
        refuse_unsupported(params, ("DeploymentConfig", "RetainDeploymentConfig"), "UpdateEndpoint")
        config = self._config(params)
        generation = endpoint.generation + 1
        variants = new_variants(config, self._records, self._scope, generation=generation)
        if params.get("RetainAllVariantProperties"):
            excluded = [
                item["VariantPropertyType"]
                for item in params.get("ExcludeRetainedVariantProperties", ())
            ]
            variants = retain_properties(variants, endpoint.variants, excluded)
        self._records.put(
            replace(
                endpoint,
                status="Updating",
                modified=context.received,
                generation=generation,
                pending_variants=variants,
                pending_config=config.name,
                pending_since=context.received,
                failure_reason=None,
            )
        )
        return {"EndpointArn": endpoint.arn}

    @operation("UpdateEndpointWeightsAndCapacities")
    def update_weights_and_capacities(self, context: Context, params: Params) -> Result:
        """A weight takes effect at once; for a count, containers come or go beside the others."""
        endpoint = self._changeable(params)
        wanted = params["DesiredWeightsAndCapacities"]
        repeated = first_repeated(item["VariantName"] for item in wanted)
        if repeated is not None:
            raise ValidationException(f"Variant {repeated} is given more than once.")
        by_name = {item["VariantName"]: item for item in wanted}
        unknown = by_name.keys() - {variant.name for variant in endpoint.variants}
        if unknown:
            raise ValidationException(
                f"Could not find variant(s) {', '.join(sorted(unknown))} in endpoint "
                f'"{endpoint.arn}".'
            )
        self._records.put(
            replace(
                endpoint,
                status="Updating",
                modified=context.received,
                variants=tuple(
                    _resized(variant, by_name.get(variant.name, {}))
                    for variant in endpoint.variants
                ),
                pending_since=context.received,
                failure_reason=None,
            )
        )
        return {"EndpointArn": endpoint.arn}

    @operation("DeleteEndpoint")
    def delete(self, context: Context, params: Params) -> Result:
        """The record goes when nothing runs any more; the tags go now."""
        endpoint = self._endpoint(params)
        if endpoint.status not in ("InService", "Failed"):
            raise self._in_progress(endpoint)
        with self._records.transaction():
            self._records.put(replace(endpoint, status="Deleting", modified=context.received))
            self._records.delete(Tags, endpoint.arn)
        return {}

    def _changeable(self, params: Params) -> Endpoint:
        endpoint = self._endpoint(params)
        if endpoint.status == "Failed":
            raise ValidationException(
                f'Cannot update endpoint "{endpoint.arn}" in status Failed. DeleteEndpoint is the '
                "only operation that can be performed on a failed endpoint."
            )
        if endpoint.status != "InService":
            raise self._in_progress(endpoint)
        return endpoint

    def _in_progress(self, endpoint: Endpoint) -> ValidationException:
        return ValidationException(f'Cannot update in-progress endpoint "{endpoint.arn}".')

    def _config(self, params: Params) -> EndpointConfig:
        name: str = params["EndpointConfigName"]
        config = self._records.get(EndpointConfig, name)
        if config is None:
            arn = self._scope.arn("sagemaker", f"endpoint-config/{name}")
            raise not_found("endpoint configuration", arn)
        return config

    def _arn(self, name: str) -> str:
        return self._scope.arn("sagemaker", f"endpoint/{name}")

    def _endpoint(self, params: Params) -> Endpoint:
        endpoint = self._records.get(Endpoint, params["EndpointName"])
        if endpoint is None:
            raise not_found("endpoint", self._arn(params["EndpointName"]))
        return endpoint


def _resized(variant: Variant, wanted: Mapping[str, Any]) -> Variant:
    refuse_unsupported(wanted, ("ServerlessUpdateConfig",), "UpdateEndpointWeightsAndCapacities")
    count = wanted.get("DesiredInstanceCount", variant.desired_count)
    if count < 1:
        raise ValidationException(
            f"DesiredInstanceCount of variant {variant.name} must be at least 1."
        )
    weight = wanted.get("DesiredWeight", variant.desired_weight)
    return replace(variant, desired_count=count, desired_weight=weight, current_weight=weight)
