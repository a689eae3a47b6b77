"""A request's way through the user's handler functions. In: an Invocation. Out: a Reply, always.

The functions are chosen and their arguments counted once, when the model is loaded; a module that
can never work is refused then, not at its first request.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from fogbank.images.errors import ContractError
from fogbank.images.inference import default_handlers
from fogbank.images.inference.content import ANY, is_text, media_type
from fogbank.images.inference.context import Context
from fogbank.images.inference.frames import Invocation, Reply

_Function = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Handlers:
    """The functions that serve a model, each taking exactly its own arguments."""

    model_fn: _Function
    """(model_dir) -> model"""
    transform_fn: _Function
    """(model, body, content_type, accept) -> body or (body, content type)"""
    pre_model_fn: _Function | None
    """(model_dir), before model_fn"""
    model_warmup_fn: _Function | None
    """(model_dir, model), after model_fn"""


def find_handlers(module_name: str, context: Context) -> Handlers:
    """Import the user's module and complete it with the defaults; without a module, all defaults.

    Raises ContractError where the functions contradict each other or take a wrong number of
    arguments, and whatever the module raises.
    """
    module = _import(module_name)

    def bound(name: str, *arguments: str) -> _Function | None:
        function = getattr(module, name, None)
        return None if function is None else _bind(name, function, arguments, context)

    transform_fn = bound("transform_fn", "model", "body", "content_type", "accept")
    input_fn = bound("input_fn", "body", "content_type")
    predict_fn = bound("predict_fn", "data", "model")
    output_fn = bound("output_fn", "prediction", "accept")
    if transform_fn and (input_fn or predict_fn or output_fn):
        raise ContractError(
            f"module {module_name!r} has a transform_fn and also an input_fn, predict_fn or "
            "output_fn: transform_fn replaces those three; keep one kind"
        )
    return Handlers(
        model_fn=bound("model_fn", "model_dir") or default_handlers.model_fn,
        transform_fn=transform_fn
        or _in_three_steps(
            input_fn or default_handlers.input_fn,
            predict_fn or default_handlers.predict_fn,
            output_fn or default_handlers.output_fn,
        ),
        pre_model_fn=bound("pre_model_fn", "model_dir"),
        model_warmup_fn=bound("model_warmup_fn", "model_dir", "model"),
    )


def _import(module_name: str) -> ModuleType | None:
    try:
        spec = importlib.util.find_spec(module_name)
    except ModuleNotFoundError:  # a dotted name whose package does not exist
        spec = None
    if spec is None:
        print(f"no module {module_name!r} in the code folder: serving with the default handlers")
        return None
    return importlib.import_module(module_name)


def _bind(
    name: str, function: _Function, arguments: tuple[str, ...], context: Context
) -> _Function:
    """One more parameter than the contract has is the context."""
    taken = len(inspect.signature(function).parameters)
    if taken == len(arguments):
        return function
    if taken == len(arguments) + 1:
        return lambda *values: function(*values, context)
    raise ContractError(
        f"{name} takes {taken} arguments; it must take ({', '.join(arguments)}), and may take "
        "context after them"
    )


def _in_three_steps(input_fn: _Function, predict_fn: _Function, output_fn: _Function) -> _Function:
    def transform(model: Any, body: str | bytes, content_type: str | None, accept: str) -> Any:
        return output_fn(predict_fn(input_fn(body, content_type), model), accept)

    return transform


class Transformer:
    """A loaded model with its handlers."""

    def __init__(self, handlers: Handlers, context: Context, default_accept: str) -> None:
        """Loads the model; raises whatever the user's functions raise."""
        self._transform = handlers.transform_fn
        self._context = context
        self._default_accept = default_accept
        model_dir = context.system_properties["model_dir"]
        if handlers.pre_model_fn is not None:
            handlers.pre_model_fn(model_dir)
        self._model = handlers.model_fn(model_dir)
        if handlers.model_warmup_fn is not None:
            handlers.model_warmup_fn(model_dir, self._model)

    def reply(self, invocation: Invocation) -> Reply:
        """Serve one request. An exception of the user's code is an answer too: its message goes to
        the client, its traceback to the log."""
        processor = self._context.begin(invocation.headers)
        try:
            properties = processor.get_request_properties()
            content_type = properties.get("Content-Type") or properties.get("ContentType")
            accept = properties.get("Accept")
            if not accept or media_type(accept) == ANY:
                accept = self._default_accept
            body: str | bytes = invocation.body
            if is_text(content_type):
                body = _decoded(invocation.body)
            result = self._transform(self._model, body, content_type, accept)
            response_type = accept
            if isinstance(result, tuple):
                result, response_type = result
            data = _encoded(result)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            return _failure(error)
        headers = [
            (name, str(value))
            for name, value in processor.get_response_headers().items()
            if name.lower() not in ("content-type", "content-length", "connection")
        ]
        status = processor.get_response_status_code() or 200
        return Reply(status, str(response_type), headers, data)


class _NotText(Exception):
    status_code = 400


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _NotText(f"the body is not UTF-8 text: {error}") from error


def _encoded(result: Any) -> bytes:
    if isinstance(result, str):
        return result.encode("utf-8")
    if isinstance(result, bytes | bytearray | memoryview):
        return bytes(result)
    return json.dumps(result).encode("utf-8")


def _failure(error: Exception) -> Reply:
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or isinstance(status, bool) or not 400 <= status <= 599:
        status = 500
    message = getattr(error, "message", None)
    if not isinstance(message, str):
        message = str(error) or type(error).__name__
    return Reply(status, "text/plain; charset=utf-8", [], message.encode("utf-8", "replace"))
