"""S3's rules for tags. Pure. A tag set is a dict; on the wire a list or a query string."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from fogbank.cloud.errors import ServiceError

MAX_OBJECT_TAGS = 10
MAX_BUCKET_TAGS = 50


def parse_header(header: str) -> dict[str, str]:
    """The `x-amz-tagging` header: `key=value&...`, percent-encoded."""
    return checked(parse_qsl(header, keep_blank_values=True), limit=MAX_OBJECT_TAGS)


def parse_set(tag_set: Iterable[Mapping[str, str]], *, limit: int) -> dict[str, str]:
    """A `TagSet` member."""
    return checked([(tag["Key"], tag["Value"]) for tag in tag_set], limit=limit)


def checked(pairs: Iterable[tuple[str, str]], *, limit: int) -> dict[str, str]:
    """Raises InvalidTag and BadRequest."""
    tags: dict[str, str] = {}
    for key, value in pairs:
        if not 1 <= len(key) <= 128:
            raise ServiceError("InvalidTag", "The TagKey you have provided is invalid")
        if len(value) > 256:
            raise ServiceError("InvalidTag", "The TagValue you have provided is invalid")
        if key.lower().startswith("aws:"):
            raise ServiceError("InvalidTag", "System tags cannot be added/updated by requester")
        if key in tags:
            raise ServiceError("InvalidTag", "Cannot provide multiple Tags with the same key")
        tags[key] = value
    if len(tags) > limit:
        kind = "Object" if limit == MAX_OBJECT_TAGS else "Bucket"
        raise ServiceError("BadRequest", f"{kind} tags cannot be greater than {limit}")
    return tags


def as_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
