"""TagResource, UntagResource, ListTags: of functions, by their ARN."""

from __future__ import annotations

from collections.abc import Mapping

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.directory import Directory
from fogbank.cloud.services.lambda_.names import named
from fogbank.cloud.services.lambda_.refusals import invalid
from fogbank.cloud.services.tagging import remove_tags, tags_of

MAX_TAGS = 50


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Raises InvalidParameterValueException for too many tags and for reserved keys."""
    if len(tags) > MAX_TAGS:
        raise invalid(f"A function can have at most {MAX_TAGS} tags.")
    for key in tags:
        if key.lower().startswith("aws:"):
            raise invalid(f"The tag key {key} is not allowed: aws: is reserved for AWS.")
    return dict(tags)


class FunctionTags:
    """Versions and aliases have none."""

    def __init__(self, *, records: Records, directory: Directory) -> None:
        self._records = records
        self._directory = directory

    @operation("TagResource")
    def tag(self, context: Context, params: Params) -> Result:
        """Adds or overwrites."""
        arn = self._function_arn(params)
        tags = checked_tags({**tags_of(self._records, arn), **params["Tags"]})
        self._records.put(Tags(arn=arn, tags=tags))
        return {}

    @operation("UntagResource")
    def untag(self, context: Context, params: Params) -> Result:
        """Keys that the function does not have are no error."""
        remove_tags(self._records, self._function_arn(params), params["TagKeys"])
        return {}

    @operation("ListTags")
    def list(self, context: Context, params: Params) -> Result:
        return {"Tags": tags_of(self._records, self._function_arn(params))}

    def _function_arn(self, params: Params) -> str:
        resource: str = params["Resource"]
        if ":function:" not in resource:
            raise invalid(f"Fogbank keeps tags of functions only: {resource} is not one.")
        target = named({"FunctionName": resource}, self._directory.scope)
        if target.qualifier:
            raise invalid(
                "Tags on function aliases and versions are not supported. Please specify a "
                "function ARN."
            )
        return self._directory.function(target.name).arn
