"""TagResource, UntagResource, ListTagsForResource, of alarms (CloudWatch API Reference)."""

from __future__ import annotations

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.services.base import operation
from fogbank.core.arn import Arn
from fogbank.core.errors import InputError


class AlarmTags:
    def __init__(self, records: Records) -> None:
        self._records = records

    @operation("TagResource")
    def tag_resource(self, context: Context, params: Params) -> Result:
        arn = self._existing(params["ResourceARN"])
        added = {tag["Key"]: tag["Value"] for tag in params["Tags"]}
        self._records.put(Tags(arn=arn, tags={**self._tags(arn), **added}))
        return {}

    @operation("UntagResource")
    def untag_resource(self, context: Context, params: Params) -> Result:
        arn = self._existing(params["ResourceARN"])
        kept = {k: v for k, v in self._tags(arn).items() if k not in params["TagKeys"]}
        self._records.put(Tags(arn=arn, tags=kept))
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, context: Context, params: Params) -> Result:
        tags = self._tags(self._existing(params["ResourceARN"]))
        return {"Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}

    def _tags(self, arn: str) -> dict[str, str]:
        found = self._records.get(Tags, arn)
        return {} if found is None else dict(found.tags)

    def _existing(self, arn: str) -> str:
        try:
            kind, _, name = Arn.parse(arn).resource.partition(":")
        except InputError:
            kind, name = "", ""
        alarm = self._records.get(Alarm, name) if kind == "alarm" else None
        if alarm is None or alarm.arn != arn:
            raise ServiceError(
                "ResourceNotFoundException",
                f"{arn} does not exist",
                status=404,
                fields={"ResourceType": "alarm", "ResourceId": arn},
            )
        return arn
