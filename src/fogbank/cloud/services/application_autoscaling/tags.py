"""TagResource, UntagResource, ListTagsForResource, of scalable targets."""

from __future__ import annotations

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.scaling import ScalableTarget
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.tagging import remove_tags, tags_of

MAX_TAGS = 50


class TargetTags:
    def __init__(self, records: Records) -> None:
        self._records = records

    @operation("TagResource")
    def tag(self, context: Context, params: Params) -> Result:
        arn = self._existing(params["ResourceARN"])
        tags = {**tags_of(self._records, arn), **params["Tags"]}
        if len(tags) > MAX_TAGS:
            raise ServiceError(
                "TooManyTagsException",
                f"A scalable target can have at most {MAX_TAGS} tags; {arn} would have {len(tags)}",
                fields={"ResourceName": arn},
            )
        self._records.put(Tags(arn=arn, tags=tags))
        return {}

    @operation("UntagResource")
    def untag(self, context: Context, params: Params) -> Result:
        remove_tags(self._records, self._existing(params["ResourceARN"]), params["TagKeys"])
        return {}

    @operation("ListTagsForResource")
    def list(self, context: Context, params: Params) -> Result:
        return {"Tags": tags_of(self._records, self._existing(params["ResourceARN"]))}

    def _existing(self, arn: str) -> str:
        if any(target.arn == arn for target in self._records.all(ScalableTarget)):
            return arn
        raise ServiceError(
            "ResourceNotFoundException",
            f"The resource {arn} does not exist",
            fields={"ResourceName": arn},
        )
