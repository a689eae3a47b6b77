"""Bodies to arrays and back, as the default handler functions do it."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from fogbank.images.inference.content import StatusError, decode_body, encode_body
from fogbank.images.inference.context import Context, Headers


@pytest.mark.observed
def test_arrays_come_from_json_csv_and_npy() -> None:
    data = io.BytesIO()
    np.save(data, np.eye(2))
    for body, kind in (
        ("[[1, 0], [0, 1]]", "application/json"),
        ("1,0\n0,1", "text/csv"),
        (data.getvalue(), "application/x-npy"),
    ):
        assert decode_body(body, f"{kind}; x=1").tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("[[1], [2, 3]]", "application/json", 400),
        ("{", "application/json", 400),
        (b"\x93NUMPY", "application/x-npy", 400),
        (b"", "application/x-npy", 400),
        (b"x", "image/jpeg", 415),
        (b"x", None, 415),
    ],
)
def test_bodies_that_are_not_what_they_say(
    body: str | bytes, kind: str | None, status: int
) -> None:
    with pytest.raises(StatusError) as refused:
        decode_body(body, kind)
    assert refused.value.status_code == status


def test_an_array_in_an_npy_body_is_never_unpickled() -> None:
    data = io.BytesIO()
    np.save(data, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(StatusError, match="allow_pickle"):
        decode_body(data.getvalue(), "application/x-npy")


def test_the_first_type_that_can_be_written_is() -> None:
    nested = {"scores": np.array([0.5, 0.25])}
    body, kind = encode_body(nested, "image/png, application/json;q=0.9, text/csv")
    assert (json.loads(body), kind) == ({"scores": [0.5, 0.25]}, "application/json")
    with pytest.raises(StatusError) as refused:
        encode_body([1], "image/png")
    assert refused.value.status_code == 406


def test_headers_are_found_whatever_their_case() -> None:
    headers = Headers([("X-Trace", "1"), ("x-trace", "2"), ("Accept", "a/b")])
    assert headers["X-TRACE"] == "1, 2"
    assert headers.get("accept") == "a/b"
    assert headers.get("absent", "default") == "default"
    assert "ACCEPT" in headers
    assert list(headers) == ["X-Trace", "Accept"]


def test_the_context_knows_the_request_of_now() -> None:
    context = Context("model", "/m", None)
    context.begin([("X-Amzn-RequestId", "r-1")])
    context.set_response_content_type(0, "a/b")
    assert context.get_request_id() == "r-1"
    assert context.get_response_content_type(0) == "a/b"
    context.set_all_response_status(404, "gone")
    assert context.get_response_status(0) == (404, "gone")
    context.begin([])
    assert context.get_request_id() is None
    assert context.get_response_status(0) == (None, None)
    assert context.get_response_headers(0) == {}
