"""IAM's paging: MaxItems and Marker in, IsTruncated and Marker out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fogbank.cloud.context import Params
from fogbank.cloud.errors import ServiceError

Item = TypeVar("Item")

DEFAULT_PAGE_SIZE = 100


def page(
    params: Params, items: Sequence[Item], key: Callable[[Item], str]
) -> tuple[list[Item], dict[str, Any]]:
    """The items of this page, and the members that tell about the next one.

    Pages go by `key`, which orders the items and tells them apart: what is created or deleted
    between two pages neither doubles nor hides the rest.
    """
    behind = _key_of(params["Marker"]) if "Marker" in params else None
    ordered = sorted(items, key=key)
    rest = [item for item in ordered if behind is None or key(item) > behind]
    size = params.get("MaxItems", DEFAULT_PAGE_SIZE)
    if len(rest) <= size:
        return rest, {"IsTruncated": False}
    shown = rest[:size]
    marker = base64.urlsafe_b64encode(key(shown[-1]).encode()).decode()
    return shown, {"IsTruncated": True, "Marker": marker}


def _key_of(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ServiceError("ValidationError", f"Invalid Marker: {marker}") from error


def under(params: Params, path: str) -> bool:
    """Does PathPrefix let that path pass?"""
    return path.startswith(params.get("PathPrefix", "/"))
