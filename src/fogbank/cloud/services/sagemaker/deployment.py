"""An endpoint configuration -> the variants that a machine deploys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fogbank.cloud.ports import Records
from fogbank.cloud.records.hosting import EndpointConfig, Model, Variant
from fogbank.cloud.services.sagemaker.models import only_container
from fogbank.cloud.services.sagemaker.refusals import not_found
from fogbank.core.arn import Scope

_OWN_FIELDS = frozenset(
    {"VariantName", "ModelName", "InstanceType", "InitialInstanceCount", "InitialVariantWeight"}
)


def new_variants(
    config: EndpointConfig, records: Records, scope: Scope, *, generation: int
) -> tuple[Variant, ...]:
    """The variants of `config`, each with a copy of its model's container.

    Raises ValidationException when a model has been deleted since.
    """
    return tuple(
        _variant(wanted, config, records, scope, generation)
        for wanted in config.request["ProductionVariants"]
    )


def _variant(
    wanted: Mapping[str, Any],
    config: EndpointConfig,
    records: Records,
    scope: Scope,
    generation: int,
) -> Variant:
    model = records.get(Model, wanted["ModelName"])
    if model is None:
        raise not_found("model", scope.arn("sagemaker", f"model/{wanted['ModelName']}"))
    return Variant(
        name=wanted["VariantName"],
        model_name=model.name,
        container=dict(only_container(model.request)),
        execution_role_arn=config.request.get(
            "ExecutionRoleArn", model.request["ExecutionRoleArn"]
        ),
        instance_type=wanted["InstanceType"],
        desired_count=wanted["InitialInstanceCount"],
        desired_weight=wanted.get("InitialVariantWeight", 1.0),
        settings={key: value for key, value in wanted.items() if key not in _OWN_FIELDS},
        generation=generation,
    )


def retain_properties(
    new: Sequence[Variant], old: Sequence[Variant], excluded: Sequence[str]
) -> tuple[Variant, ...]:
    """RetainAllVariantProperties: counts and weights of variants that keep their name stay.

    excluded: VariantPropertyTypes that come from the new configuration all the same.
    """
    before = {variant.name: variant for variant in old}
    kept: list[Variant] = []
    for variant in new:
        known = before.get(variant.name)
        if known is not None and "DesiredInstanceCount" not in excluded:
            variant = replace(variant, desired_count=known.desired_count)
        if known is not None and "DesiredWeight" not in excluded:
            variant = replace(variant, desired_weight=known.desired_weight)
        kept.append(variant)
    return tuple(kept)
