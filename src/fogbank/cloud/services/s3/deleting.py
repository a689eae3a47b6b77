"""DeleteObject and DeleteObjects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import conditions, errors, integrity
from fogbank.cloud.services.s3.access import Access, check_version_id
from fogbank.cloud.state.objects import ObjectStore, Removal, Removed
from fogbank.cloud.state.objects_rows import Version

MAX_KEYS = 1000


def _guard(etag: str | None) -> Callable[[Version | None], None]:
    """Only delete what the client has seen. Deleting what is not there succeeds."""

    def guard(current: Version | None) -> None:
        if (
            etag is not None
            and current is not None
            and not conditions.etag_matches(etag, current.etag)
        ):
            raise errors.precondition_failed("If-Match")

    return guard


class Deleting:
    def __init__(self, access: Access, objects: ObjectStore) -> None:
        self._access = access
        self._objects = objects

    @operation("DeleteObject")
    async def delete_object(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        version_id: str | None = params.get("VersionId")
        if version_id is not None:
            check_version_id(version_id)
        for member, header in (
            ("IfMatchLastModifiedTime", "x-amz-if-match-last-modified-time"),
            ("IfMatchSize", "x-amz-if-match-size"),
        ):
            if params.get(member) is not None:
                raise errors.not_implemented(header)
        removal = Removal(params["Key"], version_id, _guard(params.get("IfMatch")))
        (outcome,) = await self._objects.remove(bucket.name, [removal])
        if isinstance(outcome, ServiceError):
            raise outcome
        answer: dict[str, Any] = {}
        if outcome.version_id is not None and bucket.versioning is not None:
            answer["VersionId"] = outcome.version_id
        if outcome.is_delete_marker:
            answer["DeleteMarker"] = True
        return answer

    @operation("DeleteObjects")
    async def delete_objects(self, context: Context, params: Params) -> Result:
        integrity.check_document(context)
        bucket = self._access.bucket(params)
        wanted = params["Delete"].get("Objects") or []
        if not 1 <= len(wanted) <= MAX_KEYS:
            raise errors.malformed_xml()
        removals = [
            Removal(entry["Key"], entry.get("VersionId"), _guard(entry.get("ETag")))
            for entry in wanted
        ]
        outcomes = await self._objects.remove(bucket.name, removals)
        deleted: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for removal, outcome in zip(removals, outcomes, strict=True):
            named = {"Key": removal.key}
            if removal.version_id is not None:
                named["VersionId"] = removal.version_id
            if isinstance(outcome, Removed):
                deleted.append({**named, **_marker_members(removal, outcome)})
            else:
                failed.append({**named, "Code": outcome.code, "Message": outcome.message})
        answer: dict[str, Any] = {}
        if deleted and not params["Delete"].get("Quiet"):
            answer["Deleted"] = deleted
        if failed:
            answer["Errors"] = failed
        return answer


def _marker_members(removal: Removal, removed: Removed) -> dict[str, Any]:
    """DeleteMarker: a marker was made, or removed by its version id."""
    if not removed.is_delete_marker:
        return {}
    return {"DeleteMarker": True, "DeleteMarkerVersionId": removed.version_id}
