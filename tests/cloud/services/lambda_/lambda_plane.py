"""Lambda's service over an empty account: operations by name, inputs and answers held against
botocore's shapes; a fake invoker that runs nothing."""

from __future__ import annotations

import inspect
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.validate import ParamValidator

from cloud.aws import NOW, ROOT, SCOPE, no_body
from fogbank.cloud.codec.model import service_model
from fogbank.cloud.context import Context, Headers, Request
from fogbank.cloud.ports import FunctionCall, FunctionResult, StoredObject
from fogbank.cloud.records.function import FunctionVersion
from fogbank.cloud.services import lambda_
from fogbank.cloud.services.base import dispatch_table
from fogbank.cloud.services.lambda_.downloads import DownloadLinks
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.function_code import FunctionCodeStore
from fogbank.cloud.state.records import SqliteRecords

ROLE = "arn:aws:iam::123456789012:role/function"
ARN = "arn:aws:lambda:us-east-1:123456789012:function"
LAYER = "arn:aws:lambda:us-east-1:123456789012:layer"
ENDPOINT = "http://127.0.0.1:4566"


def zipped(files: Mapping[str, bytes] | None = None) -> bytes:
    """A zip of a handler, or of `files`; the same bytes for the same files."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in (files or {"index.py": b"def handler(event, context): ..."}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            made.writestr(info, content)
    return held.getvalue()


class FakeInvoker:
    """Remembers the calls; `answer` makes the result, or raises."""

    def __init__(self) -> None:
        self.calls: list[FunctionCall] = []
        self.answer: Callable[[FunctionCall], FunctionResult] = lambda _: FunctionResult(b"null")

    async def call(self, call: FunctionCall) -> FunctionResult:
        self.calls.append(call)
        return self.answer(call)

    def concurrent_executions(self, function: str) -> int:
        return 0


class Bucket:
    """S3 with one bucket, `code`, whose objects are files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, key: str, content: bytes) -> None:
        self._folder.mkdir(exist_ok=True)
        (self._folder / key).write_bytes(content)

    def stat(self, bucket: str, key: str) -> StoredObject | None:
        if bucket != "code":
            raise LookupError(bucket)
        path = self._folder / key
        if not path.is_file():
            return None
        return StoredObject(bucket, key, path.stat().st_size, "etag", NOW, path)

    def list(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        raise AssertionError("Lambda lists no objects")

    async def put_file(
        self, bucket: str, key: str, source: Path, *, content_type: str = "binary/octet-stream"
    ) -> StoredObject:
        raise AssertionError("Lambda writes no objects")

    async def read(self, bucket: str, key: str) -> bytes:
        raise AssertionError("Lambda reads no whole objects")


@dataclass
class LambdaPlane:
    """account_concurrency: the account's limit. draw: what weighted aliases are decided by.
    body: of every request, as it came over the wire.
    """

    folder: Path
    account_concurrency: int = 1000
    draw: float = 0.5
    body: bytes = b""
    now: datetime = NOW
    invoker: FakeInvoker = field(default_factory=FakeInvoker)
    database: Database = field(default_factory=lambda: Database(":memory:"))

    def __post_init__(self) -> None:
        self.records = SqliteRecords(self.database)
        self.bucket = Bucket(self.folder / "bucket")
        self.code = FunctionCodeStore(self.folder / "functions")
        self.links = DownloadLinks(self.code, ENDPOINT)
        self.caller = lambda_.caller(self.records, SCOPE, self.invoker, lambda: self.draw)
        self.table = dispatch_table(
            service_model("lambda").operation_names,
            lambda_.rooms(
                records=self.records,
                scope=SCOPE,
                objects=self.bucket,
                code=self.code,
                caller=self.caller,
                links=self.links,
                role_trusts=lambda arn: arn == ROLE,
                account_concurrency=self.account_concurrency,
                endpoint_url=ENDPOINT,
            ),
        )

    async def __call__(self, operation: str, /, **params: Any) -> Any:
        """The answer. Fails when the input or the answer does not fit the model."""
        shapes = service_model("lambda").operation_model(operation)
        _fits(params, shapes.input_shape, operation)
        request = Request("POST", "/", "", Headers(), no_body, self.body)
        context = Context(request, f"request-{len(self.invoker.calls)}", self.now, principal=ROOT)
        result = self.table[operation](context, params)
        answer = dict(await result if inspect.isawaitable(result) else result)
        _fits(answer, shapes.output_shape, operation)
        return answer

    async def create(self, name: str = "dogs", **changes: Any) -> Any:
        """CreateFunction with an input that is all right; a change to None takes a member away."""
        params = {
            "FunctionName": name,
            "Runtime": "python3.12",
            "Role": ROLE,
            "Handler": "index.handler",
            "Code": {"ZipFile": zipped()},
            **changes,
        }
        return await self("CreateFunction", **{k: v for k, v in params.items() if v is not None})

    async def active(self, name: str = "dogs", *, versions: int = 0, **changes: Any) -> str:
        """A function that the machine has made, with so many versions; its ARN."""
        arn: str = (await self.create(name, **changes))["FunctionArn"]
        self.settle()
        for number in range(versions):
            await self("UpdateFunctionConfiguration", FunctionName=name, Timeout=10 + number)
            self.settle()
            await self("PublishVersion", FunctionName=name)
            self.settle()
        return arn

    def settle(self) -> None:
        """Do what the machine does: everything is active and taken up."""
        for version in self.records.all(FunctionVersion):
            self.records.put(
                replace(
                    version,
                    state="Active",
                    state_reason=None,
                    state_reason_code=None,
                    update_status="Successful",
                    update_reason=None,
                    update_reason_code=None,
                )
            )
        self.wait(1)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def _fits(value: Mapping[str, Any], shape: Any, operation: str) -> None:
    if shape is None:
        assert not value, f"{operation} has nothing there"
        return
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()
