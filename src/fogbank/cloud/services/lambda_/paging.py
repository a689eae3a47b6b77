"""Lambda's paging: Marker and MaxItems in, a page and NextMarker out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from fogbank.cloud.context import Params
from fogbank.cloud.services.lambda_.refusals import invalid

Item = TypeVar("Item")

DEFAULT_PAGE_SIZE = 50
"""What Lambda shows at most on a page of functions or layers (API reference, ListFunctions)."""


def page(
    params: Params, items: Iterable[Item], key: Callable[[Item], str]
) -> tuple[list[Item], dict[str, Any]]:
    """The items of this page in the order of `key`, which tells them apart, and NextMarker where
    there is more. What is made or deleted between two pages neither doubles nor hides the rest."""
    behind = _key_of(params["Marker"]) if params.get("Marker") else None
    rest = [item for item in sorted(items, key=key) if behind is None or key(item) > behind]
    size = min(params.get("MaxItems", DEFAULT_PAGE_SIZE), DEFAULT_PAGE_SIZE)
    if len(rest) <= size:
        return rest, {}
    shown = rest[:size]
    return shown, {"NextMarker": base64.urlsafe_b64encode(key(shown[-1]).encode()).decode()}


def _key_of(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise invalid(f"Invalid Marker: {marker}") from error
