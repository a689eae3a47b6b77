"""AddTags, ListTags, DeleteTags, and the tags that Create* operations bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Records
from fogbank.cloud.records.hosting import Endpoint, EndpointConfig, Model
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.records.tuning_job import TuningJob
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.sagemaker.refusals import first_repeated, not_found
from fogbank.cloud.services.tagging import remove_tags, tags_of
from fogbank.core.arn import Arn
from fogbank.core.errors import InputError

MAX_TAGS = 50
"""Tags a resource may have (API reference, AddTags)."""

_KINDS: Mapping[
    str, tuple[type[TrainingJob | TuningJob | Model | EndpointConfig | Endpoint], str]
] = {
    "training-job": (TrainingJob, "training job"),
    "hyper-parameter-tuning-job": (TuningJob, "hyperparameter tuning job"),
    "model": (Model, "model"),
    "endpoint-config": (EndpointConfig, "endpoint configuration"),
    "endpoint": (Endpoint, "endpoint"),
}


def new_tags(arn: str, params: Params) -> tuple[Tags, ...]:
    """The record of the Tags parameter of a Create* operation; none where it is absent or empty."""
    given = _checked(params.get("Tags", ()))
    return (Tags(arn=arn, tags=given),) if given else ()


def _checked(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    repeated = first_repeated(tag["Key"] for tag in tags)
    if repeated is not None:
        raise ValidationException(f"Duplicate tag key: {repeated}. Tag keys must be unique.")
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            raise ValidationException(
                f"Tag key {tag['Key']} is not allowed: aws: is reserved for AWS."
            )
    return {tag["Key"]: tag["Value"] for tag in tags}


class TagRoom:
    """Tags of training jobs, tuning jobs, models, endpoint configurations and endpoints."""

    def __init__(self, *, records: Records) -> None:
        self._records = records

    @operation("AddTags")
    def add(self, context: Context, params: Params) -> Result:
        """Adds or overwrites; answers with all of the resource's tags."""
        arn = self._existing(params["ResourceArn"])
        tags = {**tags_of(self._records, arn), **_checked(params["Tags"])}
        if len(tags) > MAX_TAGS:
            raise ValidationException(
                f"A resource can have at most {MAX_TAGS} tags; {arn} would have {len(tags)}."
            )
        self._records.put(Tags(arn=arn, tags=tags))
        return {"Tags": _members(tags)}

    @operation("ListTags")
    def list(self, context: Context, params: Params) -> Result:
        """One page: 50 tags are the most that a resource has and the least that a page holds."""
        arn = self._existing(params["ResourceArn"])
        if params.get("NextToken"):
            raise ValidationException(f"Invalid NextToken: {params['NextToken']}.")
        return {"Tags": _members(tags_of(self._records, arn))}

    @operation("DeleteTags")
    def delete(self, context: Context, params: Params) -> Result:
        """Keys that the resource does not have are no error."""
        remove_tags(self._records, self._existing(params["ResourceArn"]), params["TagKeys"])
        return {}

    def _existing(self, arn: str) -> str:
        try:
            kind_name, _, name = Arn.parse(arn).resource.partition("/")
        except InputError as error:
            raise ValidationException(f"Invalid ARN: {arn}") from error
        if kind_name not in _KINDS:
            raise ValidationException(
                f"Fogbank keeps no tags for {arn}: it knows those of {', '.join(_KINDS)}."
            )
        kind, words = _KINDS[kind_name]
        record = self._records.get(kind, name)
        if record is None or record.arn != arn:
            raise not_found(words, arn)
        return arn


def _members(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
