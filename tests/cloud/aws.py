"""Shared by the tests of services: contexts as the gateway hands them over, expected errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from fogbank.cloud.context import Context, Headers, Principal, Request
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.base import dispatch_table
from fogbank.core.arn import Scope

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SCOPE = Scope()
ROOT = Principal(SCOPE.global_arn("iam", "root"), SCOPE.account, SCOPE.account, "root")


async def no_body() -> AsyncIterator[bytes]:
    yield b""


def context(
    principal: Principal = ROOT, *, now: datetime = NOW, access_key_id: str = "AKIAEXAMPLE"
) -> Context:
    """A request of `principal` that has passed the gateway's first steps."""
    request = Request("POST", "/", "", Headers(), no_body)
    return Context(request, "request-1", now, principal=principal, access_key_id=access_key_id)


@cache
def service_model(name: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(name)


class Service:
    """Calls the operations of a service's rooms; every answer has to fit its botocore shape."""

    def __init__(self, name: str, *rooms: object) -> None:
        self.model = service_model(name)
        self.table = dispatch_table(self.model.operation_names, rooms)

    def call(self, name: str, context: Context, params: Mapping[str, Any]) -> Any:
        answer: Any = self.table[name](context, params)
        shape = self.model.operation_model(name).output_shape
        if shape is None:
            assert answer == {}
        else:
            report = ParamValidator().validate(answer, shape)
            assert not report.has_errors(), report.generate_report()
        return answer


@contextmanager
def refused(code: str, status: int, *words: str) -> Iterator[None]:
    """The block raises that ServiceError, and its message has all `words` in it."""
    with pytest.raises(ServiceError) as caught:
        yield
    assert (caught.value.code, caught.value.status) == (code, status)
    for word in words:
        assert word in caught.value.message
