"""Bodies to arrays and back, for the default handlers: JSON, CSV and NPY. Needs numpy.

A pickle inside an NPY body is refused: whoever can call an endpoint must not be able to run code.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
ANY = "*/*"


class StatusError(Exception):
    """An error of a request with the HTTP status that it shall have."""

    def __init__(self, status_code: int, message: str) -> None:
        self.status_code = status_code
        super().__init__(message)


def media_type(header: str | None) -> str:
    """The type of a Content-Type or Accept entry, lower case and without parameters."""
    return (header or "").partition(";")[0].strip().lower()


def is_text(content_type: str | None) -> bool:
    """Whether handlers get the body as str: JSON and CSV, everything else is bytes."""
    return media_type(content_type) in (JSON, CSV)


def decode_body(body: str | bytes, content_type: str | None) -> np.ndarray[Any, Any]:
    """The body as an array. Raises StatusError 415 for other types, 400 for a broken body."""
    import numpy as np

    kind = media_type(content_type)
    try:
        if kind == JSON:
            return np.array(json.loads(body))
        if kind == CSV:
            text = body if isinstance(body, str) else body.decode("utf-8")
            return np.genfromtxt(io.StringIO(text), delimiter=",")
        if kind == NPY:
            data = body if isinstance(body, bytes) else body.encode("latin-1")
            array: np.ndarray[Any, Any] = np.load(io.BytesIO(data), allow_pickle=False)
            return array
    except (ValueError, EOFError) as error:
        raise StatusError(400, f"the body is not valid {kind}: {error}") from error
    raise StatusError(
        415,
        f"content type {content_type} is not supported by the default input_fn (it reads {JSON}, "
        f"{CSV} and {NPY}); write an input_fn",
    )


def encode_body(prediction: Any, accept: str) -> tuple[bytes, str]:
    """The prediction in the first type of `accept` that there is. Raises StatusError 406."""
    import numpy as np

    for entry in accept.split(","):
        match media_type(entry):
            case "application/json":
                return json.dumps(prediction, default=_as_list).encode(), JSON
            case "text/csv":
                text = io.StringIO()
                np.savetxt(text, prediction, delimiter=",", fmt="%s")
                return text.getvalue().encode(), CSV
            case "application/x-npy":
                data = io.BytesIO()
                np.save(data, prediction, allow_pickle=False)
                return data.getvalue(), NPY
    raise StatusError(
        406,
        f"accept {accept} is not supported by the default output_fn (it writes {JSON}, {CSV} and "
        f"{NPY}); write an output_fn",
    )


def _as_list(value: Any) -> Any:
    """Arrays and tensors below the top level."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON; write an output_fn")
