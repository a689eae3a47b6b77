"""Lambda's paging: Marker and MaxItems in, a page and NextMarker out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from fogbank.cloud.context import Params
from fogbank.cloud.services.lambda_.refusals import invalid
from fogbank.cloud.services.paging import BadToken, page_by_key

Item = TypeVar("Item")

DEFAULT_PAGE_SIZE = 50
"""What Lambda shows at most on a page of functions or layers (API reference, ListFunctions)."""


def page(
    params: Params, items: Iterable[Item], key: Callable[[Item], str]
) -> tuple[list[Item], dict[str, Any]]:
    """The items of this page in the order of `key`, see `page_by_key`, and NextMarker where there
    is more."""
    size = min(params.get("MaxItems", DEFAULT_PAGE_SIZE), DEFAULT_PAGE_SIZE)
    try:
        shown, marker = page_by_key(items, key, params.get("Marker") or None, size)
    except BadToken as error:
        raise invalid(f"Invalid Marker: {error}") from error
    return shown, {} if marker is None else {"NextMarker": marker}
