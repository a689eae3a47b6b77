"""IAM's paging: MaxItems and Marker in, IsTruncated and Marker out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fogbank.cloud.context import Params
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.paging import BadToken, page_by_key

Item = TypeVar("Item")

DEFAULT_PAGE_SIZE = 100


def page(
    params: Params, items: Sequence[Item], key: Callable[[Item], str]
) -> tuple[list[Item], dict[str, Any]]:
    """The items of this page in the order of `key`, see `page_by_key`, and the members that tell
    about the next one."""
    size = params.get("MaxItems", DEFAULT_PAGE_SIZE)
    try:
        shown, marker = page_by_key(items, key, params.get("Marker"), size)
    except BadToken as error:
        raise ServiceError("ValidationError", f"Invalid Marker: {error}") from error
    return shown, {"IsTruncated": marker is not None, **({"Marker": marker} if marker else {})}


def under(params: Params, path: str) -> bool:
    """Does PathPrefix let that path pass?"""
    return path.startswith(params.get("PathPrefix", "/"))
