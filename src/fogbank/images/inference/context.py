"""The `context` argument of handler functions, as model servers for PyTorch give it.

One object serves all requests of a worker: it is told of each request before the user's code runs,
and asked afterwards what that code set. Header names are looked up whatever their case.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, overload

_T = TypeVar("_T")


class Headers(dict[str, str]):
    """Headers as a dict with the names as sent; look-ups ignore case. Repeated ones are joined."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._names: dict[str, str] = {}
        for name, value in pairs:
            self[name] = f"{self[name]}, {value}" if name in self else value

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(self._names.setdefault(name.lower(), name), value)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(self._names[name.lower()])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._names

    @overload
    def get(self, name: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    @overload
    def get(self, name: str, default: _T, /) -> str | _T: ...
    def get(self, name: str, default: object = None, /) -> object:
        return super().get(self._names.get(name.lower(), name), default)


class RequestProcessor:
    """One request's headers, and the status and headers that its response shall have."""

    def __init__(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        self._request = Headers(headers)
        self._response = Headers()
        self._status: int | None = None
        self._phrase: str | None = None

    def get_request_property(self, key: str) -> str | None:
        return self._request.get(key)

    def get_request_properties(self) -> Headers:
        return self._request

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        self._status = code
        self._phrase = reason_phrase

    def get_response_status_code(self) -> int | None:
        """What the user's code set; None where it set nothing."""
        return self._status

    def get_response_status_phrase(self) -> str | None:
        return self._phrase

    def add_response_property(self, key: str, value: str) -> None:
        self._response[key] = value

    def get_response_headers(self) -> Headers:
        return self._response

    def get_response_header(self, key: str) -> str | None:
        return self._response.get(key)


class Context:
    """Where the model is, and the request that is served now. Only index 0 exists: no batching."""

    def __init__(self, model_name: str, model_dir: str, gpu_id: int | None) -> None:
        self.model_name = model_name
        self.manifest: dict[str, object] = {"model": {"modelName": model_name}}
        self.system_properties: dict[str, object] = {
            "model_dir": model_dir,
            "gpu_id": gpu_id,
            "batch_size": 1,
            "server_name": "fogbank-inference",
        }
        self.request_processor: list[RequestProcessor] = [RequestProcessor()]
        self.request_ids: dict[int, str] = {}

    def begin(self, headers: list[tuple[str, str]]) -> RequestProcessor:
        """Forget the last request; the worker calls this, not the user's code."""
        processor = RequestProcessor(headers)
        self.request_processor = [processor]
        request_id = processor.get_request_property("X-Amzn-RequestId")
        self.request_ids = {} if request_id is None else {0: request_id}
        return processor

    def get_request_id(self, idx: int = 0) -> str | None:
        return self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> Headers:
        return self.request_processor[idx].get_request_properties()

    def set_response_content_type(self, idx: int, value: str) -> None:
        self.set_response_header(idx, "content-type", value)

    def get_response_content_type(self, idx: int) -> str | None:
        return self.request_processor[idx].get_response_header("content-type")

    def get_response_status(self, idx: int) -> tuple[int | None, str | None]:
        processor = self.request_processor[idx]
        return processor.get_response_status_code(), processor.get_response_status_phrase()

    def set_response_status(self, code: int = 200, phrase: str | None = "", idx: int = 0) -> None:
        self.request_processor[idx].report_status(code, phrase)

    def set_all_response_status(self, code: int = 200, phrase: str | None = "") -> None:
        for processor in self.request_processor:
            processor.report_status(code, phrase)

    def get_response_headers(self, idx: int) -> Headers:
        return self.request_processor[idx].get_response_headers()

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        self.request_processor[idx].add_response_property(key, value)
