"""What the operations have in common: which target is meant, filters, pages, refusals, names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from fogbank.cloud.context import Params
from fogbank.cloud.errors import ServiceError, ValidationException
from fogbank.cloud.ports import Records
from fogbank.cloud.records.scaling import ScalableTarget, target_key
from fogbank.cloud.rules.scalable import scalable
from fogbank.cloud.services.paging import BadToken, page_by_place
from fogbank.core.arn import Scope

PAGE_SIZE = 50

T = TypeVar("T")


def key_of(params: Params) -> str:
    """The key of the target that a request names. Raises ValidationException for names that no
    target can have."""
    namespace, dimension = params["ServiceNamespace"], params["ScalableDimension"]
    scalable(namespace, dimension).parts(params["ResourceId"])
    return target_key(namespace, params["ResourceId"], dimension)


def described(target: str) -> dict[str, str]:
    """The three members that name a target in every answer."""
    namespace, resource, dimension = target.split("|")
    return {
        "ServiceNamespace": namespace,
        "ResourceId": resource,
        "ScalableDimension": dimension,
    }


def existing_target(records: Records, params: Params) -> ScalableTarget:
    """Raises ObjectNotFoundException."""
    target = records.get(ScalableTarget, key_of(params))
    if target is None:
        raise not_found("No scalable target registered for", params)
    return target


def not_found(what: str, params: Params) -> ServiceError:
    return ServiceError(
        "ObjectNotFoundException",
        f"{what} service namespace: {params['ServiceNamespace']}, resource ID: "
        f"{params['ResourceId']}, scalable dimension: {params['ScalableDimension']}",
    )


def is_asked_for(target: str, params: Params) -> bool:
    """Whether a target's things are among those that a Describe operation asks for."""
    names = described(target)
    return all(params.get(name, names[name]) == names[name] for name in names)


def check_filters(params: Params) -> None:
    """Raises ValidationException for a dimension that the namespace does not have."""
    if "ScalableDimension" in params:
        scalable(params["ServiceNamespace"], params["ScalableDimension"])


def page(
    found: Sequence[T], params: Params, name: str, shape: Callable[[T], Mapping[str, Any]]
) -> dict[str, Any]:
    """One page under `name`, and NextToken where there are more. Raises InvalidNextTokenException.
    MaxResults beyond 50 is 50, as on AWS."""
    size = params.get("MaxResults", PAGE_SIZE)
    if size < 1:
        raise ValidationException("MaxResults must be at least 1.")
    try:
        shown, more = page_by_place(found, params.get("NextToken"), min(size, PAGE_SIZE))
    except BadToken as error:
        raise ServiceError(
            "InvalidNextTokenException", "The specified token is not valid."
        ) from error
    answer: dict[str, Any] = {name: [shape(each) for each in shown]}
    return answer if more is None else {**answer, "NextToken": more}


def owned_arn(scope: Scope, target: ScalableTarget, kind: str, named: str) -> str:
    """A new ARN of something that belongs to a target. named: `policyName/dogs`."""
    return scope.arn(
        "autoscaling", f"{kind}:{uuid4()}:resource/{target.namespace}/{target.resource}:{named}"
    )
