"""The List* operations: filters, order and pages. In: entries and parameters; out: one page.

A NextToken holds the sort key of the last entry that was returned, so pages neither repeat nor
lose an entry that exists throughout, whatever is created or deleted in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from fogbank.cloud.context import Params
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.services.paging import content_of, token

DEFAULT_MAX_RESULTS = 10
"""Where MaxResults is absent (API reference, ListEndpoints; the others do not say)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource. `summary` is its element of the answer; `objective` is what
    FinalObjectiveMetricValue sorts by."""

    name: str
    created: datetime
    summary: Mapping[str, Any]
    modified: datetime | None = None
    status: str = ""
    objective: float = 0.0


@dataclass(frozen=True, slots=True)
class Page:
    """The members of an answer: the list, and NextToken where there is more."""

    summaries: list[Mapping[str, Any]]
    next_token: str | None

    def answer(self, member: str) -> dict[str, Any]:
        """`{member: summaries}`, with NextToken where there is more."""
        token = {"NextToken": self.next_token} if self.next_token else {}
        return {member: self.summaries, **token}


def page(params: Params, entries: Iterable[Entry], *, default_order: str) -> Page:
    """Filter by NameContains, StatusEquals, CreationTime* and LastModifiedTime*; sort by SortBy
    (default CreationTime) and SortOrder; cut at MaxResults.

    Raises ValidationException for a token of another query.
    """
    chosen = [entry for entry in entries if _matches(params, entry)]
    descending = params.get("SortOrder", default_order) == "Descending"
    chosen.sort(key=lambda entry: _sort_key(params, entry), reverse=descending)
    if params.get("NextToken"):
        last = _last_shown(params["NextToken"], params)
        chosen = [
            entry
            for entry in chosen
            if (_sort_key(params, entry) < last if descending else _sort_key(params, entry) > last)
        ]
    limit = params.get("MaxResults", DEFAULT_MAX_RESULTS)
    shown = chosen[:limit]
    more = None
    if len(chosen) > limit:
        more = token([*_sort_key(params, shown[-1]), _fingerprint(params)])
    return Page([entry.summary for entry in shown], more)


def _matches(params: Params, entry: Entry) -> bool:
    if params.get("NameContains", "").lower() not in entry.name.lower():
        return False
    if params.get("StatusEquals", entry.status) != entry.status:
        return False
    return _within(params, "CreationTime", entry.created) and _within(
        params, "LastModifiedTime", entry.modified
    )


def _within(params: Params, name: str, moment: datetime | None) -> bool:
    after, before = params.get(f"{name}After"), params.get(f"{name}Before")
    if moment is None:
        return True
    return (after is None or moment >= after) and (before is None or moment < before)


def _sort_key(params: Params, entry: Entry) -> tuple[str | float, str]:
    match params.get("SortBy", "CreationTime"):
        case "Name":
            return entry.name, entry.name
        case "Status":
            return entry.status, entry.name
        case "FinalObjectiveMetricValue":
            return entry.objective, entry.name
        case _:
            return round(entry.created.timestamp() * 1_000_000), entry.name


def _last_shown(text: str, params: Params) -> tuple[Any, str]:
    """The sort key in a token."""
    match content_of(text):
        case [key, str(name), str(fingerprint)]:
            if fingerprint == _fingerprint(params):
                return key, name
            raise ValidationException(
                "Invalid NextToken: it belongs to a request with other parameters."
            )
    raise ValidationException(f"Invalid NextToken: {text}.")


def _fingerprint(params: Params) -> str:
    """Of everything that decides which entries there are and in what order."""
    asked = {k: str(v) for k, v in params.items() if k not in ("NextToken", "MaxResults")}
    return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
