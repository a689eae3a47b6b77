"""TagResource, UntagResource, ListTagsForResource, of alarms (CloudWatch API Reference)."""

from __future__ import annotations

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.tagging import remove_tags, tags_of
from fogbank.core.arn import Arn
from fogbank.core.errors import InputError


class AlarmTags:
    def __init__(self, records: Records) -> None:
        self._records = records

    @operation("TagResource")
    def tag_resource(self, context: Context, params: Params) -> Result:
        arn = self._existing(params["ResourceARN"])
        added = {tag["Key"]: tag["Value"] for tag in params["Tags"]}
        self._records.put(Tags(arn=arn, tags={**tags_of(self._records, arn), **added}))
        return {}

    @operation("UntagResource")
    def untag_resource(self, context: Context, params: Params) -> Result:
        remove_tags(self._records, self._existing(params["ResourceARN"]), params["TagKeys"])
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, context: Context, params: Params) -> Result:
        tags = tags_of(self._records, self._existing(params["ResourceARN"]))
        return {"Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}

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
