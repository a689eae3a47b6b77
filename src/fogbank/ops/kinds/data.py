"""The pictures: the data folder, mirrored under `data/` of the bucket.

Only files whose size or ETag differs are uploaded; objects whose file has gone are deleted.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fogbank.aws import Aws
from fogbank.core.errors import InputError
from fogbank.ops.kinds.bucket import delete_objects
from fogbank.ops.names import Names
from fogbank.ops.step import Step
from fogbank.ops.survey import PART_BYTES, LocalFile, Survey
from fogbank.ops.world import World

PREFIX = "data/"
NUM_UPLOADS = 16
"""At a time. Small pictures are bound by the round trip, not by the line."""

_DELETE_BATCH = 1000
"""The most that DeleteObjects takes."""


@dataclass(frozen=True, kw_only=True)
class Desired:
    bucket: str
    files: tuple[LocalFile, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """An object under the prefix."""

    size_bytes: int
    etag: str


def desired(survey: Survey, names: Names) -> Desired:
    return Desired(bucket=names.bucket, files=survey.data)


def observe(aws: Aws, bucket: str) -> Mapping[str, Found]:
    """Name below the prefix -> object. The bucket has to exist."""
    pages = aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    return {
        item["Key"].removeprefix(PREFIX): Found(item["Size"], item["ETag"].strip('"'))
        for page in pages
        for item in page.get("Contents", ())
    }


def diff(desired: Desired, found: Mapping[str, Found]) -> list[Step]:
    new, changed = [], []
    for file in desired.files:
        there = found.get(file.name)
        if there is None:
            new.append(file)
        elif (there.size_bytes, there.etag) != (file.size_bytes, file.etag):
            changed.append(file)
    steps = []
    if new or changed:
        uploads = sorted((*new, *changed), key=lambda file: file.name)
        size_bytes = sum(file.size_bytes for file in uploads)
        steps.append(
            Step(
                kind="data",
                verb="upload",
                name=f"s3://{desired.bucket}/{PREFIX}",
                message=f"upload {_count(len(uploads))} ({megabytes(size_bytes)})",
                reason=_reason(len(new), len(changed), len(desired.files)),
                request={
                    "bucket": desired.bucket,
                    "files": [
                        {"path": str(file.path), "name": file.name, "size_bytes": file.size_bytes}
                        for file in uploads
                    ],
                },
                if_interrupted="what has been uploaded stays; the rest is uploaded next time",
            )
        )
    vanished = sorted(found.keys() - {file.name for file in desired.files})
    if vanished:
        steps.append(
            Step(
                kind="data",
                verb="delete",
                name=f"s3://{desired.bucket}/{PREFIX}",
                message=f"delete {_count(len(vanished))} from S3",
                reason="no longer in the data folder",
                request={"bucket": desired.bucket, "names": vanished},
            )
        )
    return steps


def _reason(num_new: int, num_changed: int, num_all: int) -> str:
    parts = [f"{num_new} new" if num_new else "", f"{num_changed} changed" if num_changed else ""]
    return f"{' and '.join(part for part in parts if part)} of {num_all} in the data folder"


def _count(number: int) -> str:
    return f"{number} file" if number == 1 else f"{number:,} files"


def megabytes(size_bytes: int) -> str:
    """1.2 MB, decimal as S3 bills."""
    return f"{size_bytes / 1e6:,.1f} MB"


def apply(world: World, step: Step) -> None:
    match step.verb:
        case "upload":
            _upload_all(world, step.request)
        case "delete":
            _delete_all(world, step.request)
        case _:
            raise AssertionError(f"no way to {step.verb} data")


def _upload_all(world: World, request: Mapping[str, Any]) -> None:
    files = request["files"]
    total = sum(file["size_bytes"] for file in files)
    done = 0
    world.progress.advance(0, total, "bytes")
    pool = ThreadPoolExecutor(max_workers=NUM_UPLOADS, thread_name_prefix="upload")
    uploads = {pool.submit(_upload, world, request["bucket"], file): file for file in files}
    try:
        for finished in as_completed(uploads):
            finished.result()
            done += uploads[finished]["size_bytes"]
            world.progress.advance(done, total, "bytes")
    finally:
        # After an error, or Ctrl-C: those that have not begun do not begin.
        _cancel(uploads)
        pool.shutdown()


def _cancel(uploads: Mapping[Future[None], object]) -> None:
    for upload in uploads:
        upload.cancel()


def _upload(world: World, bucket: str, file: Mapping[str, Any]) -> None:
    s3, path, key = world.aws.s3, Path(file["path"]), PREFIX + file["name"]
    content_type = mimetypes.guess_type(file["name"])[0] or "application/octet-stream"
    try:
        if file["size_bytes"] < PART_BYTES:
            with path.open("rb") as body:
                s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        else:
            from boto3.s3.transfer import TransferConfig

            parts = TransferConfig(
                multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4
            )
            s3.upload_file(
                str(path), bucket, key, ExtraArgs={"ContentType": content_type}, Config=parts
            )
    except FileNotFoundError as error:
        raise InputError(
            f"{path} has vanished since the folder was read: give the command again."
        ) from error


def _delete_all(world: World, request: Mapping[str, Any]) -> None:
    names = request["names"]
    for batch in _batches(names):
        delete_objects(world, request["bucket"], [{"Key": PREFIX + name} for name in batch])


def _batches(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _DELETE_BATCH):
        yield names[start : start + _DELETE_BATCH]
