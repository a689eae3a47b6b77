"""S3's operations as plain calls: the gateway and the wire left out, everything below them real."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.session import get_session

from cloud.aws import NOW, ROOT
from fogbank.cloud.context import Context, Headers, Request
from fogbank.cloud.services.base import dispatch_table
from fogbank.cloud.services.s3 import rooms
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.objects import ObjectStore
from fogbank.cloud.state.records import SqliteRecords
from fogbank.core.arn import Scope
from fogbank.testing.clock import ManualClock

MODEL = get_session().get_service_model("s3")


class Body:
    """A request body in pieces, with trailers that appear at its end."""

    def __init__(self, *pieces: bytes, trailers: Mapping[str, str] | None = None) -> None:
        self._pieces = pieces
        self._coming = dict(trailers or {})
        self.trailers: dict[str, str] = {}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        self.trailers.update(self._coming)


class S3:
    """One account's S3 in a folder. `status` is what the last call set besides the model's."""

    def __init__(self, folder: Path, *, region: str = "us-east-1") -> None:
        self.folder = folder
        self.clock = ManualClock(NOW)
        self.database = Database(folder / "records.db")
        self.records = SqliteRecords(self.database)
        self.objects = ObjectStore(self.database, self.records, folder / "s3", self.clock)
        scope = Scope(region=region)
        self._table = dispatch_table(
            MODEL.operation_names, rooms(self.records, self.objects, scope, self.clock)
        )
        self.status: int | None = None

    def close(self) -> None:
        self.objects.close()
        self.database.close()

    async def __call__(
        self,
        operation: str,
        *,
        headers: Mapping[str, str] | None = None,
        document: bytes | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        """The members of the answer; a Body is read to its end. Every member is in the model."""
        shapes = MODEL.operation_model(operation)
        taken = shapes.input_shape
        unknown = set(params) - set(taken.members if taken else ())
        assert not unknown, f"{operation} takes no {unknown}"
        request = Request(
            "POST", "/", "", Headers(tuple((headers or {}).items())), Body().__aiter__, document
        )
        context = Context(request, "request-1", self.clock.now(), principal=ROOT)
        result = self._table[operation](context, params)
        answer = dict(await result if inspect.isawaitable(result) else result)
        self.status = context.status
        given = shapes.output_shape
        assert not set(answer) - set(given.members if given else ())
        if "Body" in answer:
            answer["Body"] = b"".join([piece async for piece in answer["Body"]])
        return answer

    async def put(self, key: str, content: bytes = b"content", **params: Any) -> dict[str, Any]:
        return await self("PutObject", Bucket="dogs", Key=key, Body=Body(content), **params)

    async def get(self, key: str, **params: Any) -> dict[str, Any]:
        return await self("GetObject", Bucket="dogs", Key=key, **params)

    async def upload(
        self, key: str, contents: Iterable[bytes], **params: Any
    ) -> tuple[str, list[dict[str, Any]]]:
        """Begin a multipart upload and send its parts. Returns its id and what completes it."""
        begun = await self("CreateMultipartUpload", Bucket="dogs", Key=key, **params)
        parts: list[dict[str, Any]] = []
        for number, content in enumerate(contents, start=1):
            sent = await self(
                "UploadPart",
                Bucket="dogs",
                Key=key,
                UploadId=begun["UploadId"],
                PartNumber=number,
                Body=Body(content),
            )
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        return begun["UploadId"], parts

    async def complete(
        self, key: str, upload_id: str, parts: list[dict[str, Any]], **params: Any
    ) -> dict[str, Any]:
        return await self(
            "CompleteMultipartUpload",
            Bucket="dogs",
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            **params,
        )


def later(seconds: int) -> datetime:
    return datetime.fromtimestamp(NOW.timestamp() + seconds, UTC)
