"""CreateEndpoint, DescribeEndpoint, ListEndpoints, UpdateEndpoint,
UpdateEndpointWeightsAndCapacities, DeleteEndpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Records
from fogbank.cloud.records.hosting import Endpoint, EndpointConfig, Variant
from fogbank.cloud.records.scaling import ScalableTarget, target_key
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.rules.endpoint_capacity import Wanted, resize
from fogbank.cloud.rules.endpoint_quota import InstanceCounts, check_quota
from fogbank.cloud.rules.scalable import SAGEMAKER_VARIANT
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.sagemaker.deployment import new_variants, retain_properties
from fogbank.cloud.services.sagemaker.deployment_config import check_same_names, deployment_config
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
from fogbank.cloud.state import scalable_targets
from fogbank.core.arn import Scope


class Endpoints:
    """Endpoints as intent: a machine sees the records, starts and ends containers.
    quota: how many instances of a type endpoints may have."""

    def __init__(self, *, records: Records, scope: Scope, quota: InstanceCounts) -> None:
        self._records = records
        self._scope = scope
        self._quota = quota

    @operation("CreateEndpoint")
    def create(self, context: Context, params: Params) -> Result:
        name: str = params["EndpointName"]
        arn = self._arn(name)
        if self._records.get(Endpoint, name) is not None:
            raise already_exists("endpoint", arn)
        config = self._config(params)
        variants = new_variants(config, self._records, self._scope, generation=1)
        endpoint = Endpoint(
            name=name,
            arn=arn,
            config_name=config.name,
            status="Creating",
            created=context.received,
            modified=context.received,
            pending_variants=variants,
            pending_config=config.name,
            pending_since=context.received,
            # Only for updates that retain it: there is nothing to move the traffic from.
            last_deployment=deployment_config(
                params, None, variants, self._records, "CreateEndpoint"
            ),
        )
        self._check_quota(endpoint)
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
        """A new fleet is started beside the old one; how the traffic moves to it is what the
        DeploymentConfig says."""
        endpoint = self._changeable(params)
        config = self._config(params)
        generation = endpoint.generation + 1
        variants = new_variants(config, self._records, self._scope, generation=generation)
        if params.get("RetainAllVariantProperties"):
            excluded = [
                item["VariantPropertyType"]
                for item in params.get("ExcludeRetainedVariantProperties", ())
            ]
            variants = retain_properties(variants, endpoint.variants, excluded)
        self._check_scalable_targets(endpoint, variants)
        deployment = deployment_config(
            params, endpoint.last_deployment, variants, self._records, "UpdateEndpoint"
        )
        check_same_names(deployment, endpoint.variants, variants)
        updating = replace(
            endpoint,
            status="Updating",
            modified=context.received,
            generation=generation,
            pending_variants=variants,
            pending_config=config.name,
            pending_since=context.received,
            pending_deployment=deployment,
            last_deployment=deployment or endpoint.last_deployment,
            failure_reason=None,
        )
        self._check_quota(updating)
        self._records.put(updating)
        return {"EndpointArn": endpoint.arn}

    @operation("UpdateEndpointWeightsAndCapacities")
    def update_weights_and_capacities(self, context: Context, params: Params) -> Result:
        """A weight takes effect at once; for a count, containers come or go beside the others."""
        endpoint = self._changeable(params)
        wanted = params["DesiredWeightsAndCapacities"]
        repeated = first_repeated(item["VariantName"] for item in wanted)
        if repeated is not None:
            raise ValidationException(f"Variant {repeated} is given more than once.")
        for item in wanted:
            refuse_unsupported(
                item, ("ServerlessUpdateConfig",), "UpdateEndpointWeightsAndCapacities"
            )
        by_name = {
            item["VariantName"]: Wanted(item.get("DesiredInstanceCount"), item.get("DesiredWeight"))
            for item in wanted
        }
        resized = resize(endpoint, by_name, context.received)
        self._check_quota(resized)
        self._records.put(resized)
        return {"EndpointArn": endpoint.arn}

    @operation("DeleteEndpoint")
    def delete(self, context: Context, params: Params) -> Result:
        """The record goes when nothing runs any more; the tags go now, and so do the variants'
        scalable targets, which SageMaker deregisters with DeleteEndpoint."""
        endpoint = self._endpoint(params)
        if endpoint.status not in ("InService", "Failed"):
            raise self._in_progress(endpoint)
        with self._records.transaction():
            self._records.put(replace(endpoint, status="Deleting", modified=context.received))
            self._records.delete(Tags, endpoint.arn)
            for variant in endpoint.variants:
                target = self._target(endpoint, variant)
                if target is not None:
                    scalable_targets.deregister(self._records, target, context.received)
        return {}

    def _check_quota(self, changed: Endpoint) -> None:
        check_quota(self._quota, self._records.all(Endpoint), changed)

    def _check_scalable_targets(self, endpoint: Endpoint, new: Sequence[Variant]) -> None:
        """A variant that auto scaling changes keeps its name and its instance type."""
        types = {variant.name: variant.instance_type for variant in new}
        scaled = [
            variant.name
            for variant in endpoint.variants
            if types.get(variant.name) != variant.instance_type
            and self._target(endpoint, variant) is not None
        ]
        if scaled:
            raise ValidationException(
                f'The variant(s) "[{", ".join(scaled)}]" must be deregistered as scalable targets '
                "with AWS Auto Scaling before they can be removed or have their instance type "
                "updated."
            )

    def _target(self, endpoint: Endpoint, variant: Variant) -> ScalableTarget | None:
        namespace, dimension = SAGEMAKER_VARIANT
        resource = f"endpoint/{endpoint.name}/variant/{variant.name}"
        return self._records.get(ScalableTarget, target_key(namespace, resource, dimension))

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
