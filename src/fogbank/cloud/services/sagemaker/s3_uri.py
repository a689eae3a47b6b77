"""`s3://bucket/key` -> its parts, and whether anything is there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Objects

_S3_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])(?:/(?P<key>.*))?", re.S)


@dataclass(frozen=True, slots=True)
class S3Uri:
    """`key` is an object's key or a prefix; empty for a whole bucket."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str, where: str) -> S3Uri:
        """Raises ValidationException naming the parameter `where` for anything else.

        The models also allow `https://` addresses of objects; those are refused.
        """
        match = _S3_URI.fullmatch(uri)
        if match is None:
            raise ValidationException(
                f"Invalid S3 URI {uri!r} in {where}: expected s3://bucket-name/key-prefix."
            )
        return cls(match["bucket"], match["key"] or "")


def has_objects(objects: Objects, uri: S3Uri) -> bool:
    """Whether anything lies under the prefix. False for a bucket that is not there."""
    try:
        return next(iter(objects.list(uri.bucket, uri.key)), None) is not None
    except LookupError:
        return False


def has_object(objects: Objects, uri: S3Uri) -> bool:
    """Whether that very object exists. False for a bucket that is not there."""
    try:
        return objects.stat(uri.bucket, uri.key) is not None
    except LookupError:
        return False
