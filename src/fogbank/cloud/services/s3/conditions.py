"""Conditional requests (RFC 9110, section 13, as S3 applies it). Pure.

`If-Match` goes before `If-Unmodified-Since`, `If-None-Match` before `If-Modified-Since`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fogbank.cloud.context import Params
from fogbank.cloud.services.s3 import errors
from fogbank.cloud.state.objects_rows import Version


def etag_matches(condition: str, etag: str) -> bool:
    """Whether a list of entity tags (quoted or not, or `*`) names `etag`."""
    names = [name.strip().removeprefix("W/").strip('"') for name in condition.split(",")]
    return "*" in names or etag in names


def _later(version: Version, since: datetime) -> bool:
    return version.modified_s > int(since.timestamp())


def not_modified(params: Params, version: Version) -> bool:
    """Whether a read is to be answered with 304. Raises PreconditionFailed."""
    if (match := params.get("IfMatch")) is not None:
        if not etag_matches(match, version.etag):
            raise errors.precondition_failed("If-Match")
    elif (since := params.get("IfUnmodifiedSince")) is not None and _later(version, since):
        raise errors.precondition_failed("If-Unmodified-Since")
    if (none_match := params.get("IfNoneMatch")) is not None:
        return etag_matches(none_match, version.etag)
    modified_since = params.get("IfModifiedSince")
    return modified_since is not None and not _later(version, modified_since)


def check_copy_source(params: Params, version: Version) -> None:
    """The `x-amz-copy-source-if-*` headers: whatever does not hold is PreconditionFailed."""
    prefix = "CopySource"
    conditions = {
        name: params.get(prefix + name)
        for name in ("IfMatch", "IfUnmodifiedSince", "IfNoneMatch", "IfModifiedSince")
    }
    if not_modified(conditions, version):
        held = "none-match" if conditions["IfNoneMatch"] is not None else "modified-since"
        raise errors.precondition_failed(f"x-amz-copy-source-If-{held}")


def write_guard(params: Params, key: str) -> Callable[[Version | None], None]:
    """A check of `If-None-Match: *` and `If-Match` against the object that a write replaces.

    Raises NotImplemented for any other `If-None-Match`, as S3 does.
    """
    if_match: str | None = params.get("IfMatch")
    if_none_match: str | None = params.get("IfNoneMatch")
    if if_none_match not in (None, "*"):
        raise errors.not_implemented("If-None-Match")
    if if_match is not None and if_none_match is not None:
        raise errors.not_implemented("If-Match,If-None-Match")

    def guard(current: Version | None) -> None:
        if if_none_match is not None and current is not None:
            raise errors.precondition_failed("If-None-Match")
        if if_match is not None:
            if current is None:
                raise errors.no_such_key(key)
            if not etag_matches(if_match, current.etag):
                raise errors.precondition_failed("If-Match")

    return guard
