"""PutObject."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Protocol, runtime_checkable

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import conditions, errors, integrity
from fogbank.cloud.services.s3.access import Access, version_id_of
from fogbank.cloud.services.s3.descriptions import described, encryption_members
from fogbank.cloud.state.objects import ObjectStore, whole
from fogbank.cloud.state.objects_checksums import DEFAULT_ALGORITHM
from fogbank.cloud.state.objects_content import Content, TooLarge

MAX_PUT_BYTES = 5 * 1024**3
"""The largest body of one PutObject or UploadPart."""


@runtime_checkable
class Trailed(Protocol):
    """A body that brings headers behind it, known once it has been read to its end."""

    @property
    def trailers(self) -> Mapping[str, str]: ...


async def receive(
    objects: ObjectStore, params: Params, declaration: integrity.Declaration, *algorithms: str
) -> Content:
    """The body of a request as a verified content file, with the checksum that was declared and
    those of `algorithms`."""
    body: AsyncIterable[bytes] | bytes | None = params.get("Body")

    def check(content: Content) -> None:
        declaration.check(content, body.trailers if isinstance(body, Trailed) else {})

    try:
        return await objects.content.receive(
            _pieces(body),
            algorithms=list(dict.fromkeys((declaration.algorithm, *algorithms))),
            check=check,
            max_size_bytes=MAX_PUT_BYTES,
        )
    except TooLarge:
        raise errors.too_large(MAX_PUT_BYTES) from None


def _pieces(body: AsyncIterable[bytes] | bytes | None) -> AsyncIterable[bytes]:
    return _one(body or b"") if body is None or isinstance(body, bytes) else body


async def _one(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


class Writing:
    def __init__(self, access: Access, objects: ObjectStore) -> None:
        self._access = access
        self._objects = objects

    @operation("PutObject")
    async def put_object(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        key = self._access.key(params)
        description = described(params, bucket, self._access.scope)
        declaration = integrity.declared(context, params, default=DEFAULT_ALGORITHM)
        guard = conditions.write_guard(params, key)
        guard(self._objects.current(bucket.name, key))  # before a long body, and again at its end
        content = await receive(self._objects, params, declaration)
        new = whole(bucket.name, key, content, description)
        version = await self._objects.add(new, guard=guard)
        return {
            "ETag": f'"{version.etag}"',
            **integrity.members(version.checksum),
            **encryption_members(description.headers),
            **version_id_of(self._objects.bucket(bucket.name), version),
        }
