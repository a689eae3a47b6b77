"""Ask the endpoint about a picture, as any client would. Reads a file, sends a request.

Fogbank's own serving code answers with labels and probabilities; what another `inference.py`
answers is returned as it is.
"""

from __future__ import annotations

import json
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fogbank.aws import Aws, error_code, error_message, explained
from fogbank.core.clock import Clock
from fogbank.core.errors import InputError
from fogbank.ops.world import CloudFailure

MAX_BODY_BYTES = 6 * 1024 * 1024
"""InvokeEndpoint's limit (SageMaker endpoints and quotas)."""

MAX_TOP = 5
"""Labels that the verbose form of an answer holds."""

_ACCEPT = "application/json;verbose=true"


@dataclass(frozen=True, slots=True)
class Label:
    """A class and how sure the model is of it, 0..1."""

    label: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the endpoint said."""

    endpoint: str
    picture: Path | str
    """A file, or an address."""
    labels: tuple[Label, ...]
    """Best first; empty where the answer has another form than that of Fogbank's serving code."""
    content: Any
    """The whole answer: decoded JSON, else text."""
    seconds: float
    """From the request to the answer."""
    function: str = ""
    """The function that it came through, `name:alias`; "" where the endpoint was asked itself."""
    report: str = ""
    """What Lambda says of the call."""


def invoke(aws: Aws, endpoint: str, picture: Path, *, top: int, clock: Clock) -> Answer:
    """Send one picture.

    top: how many labels to return, up to MAX_TOP.
    Raises InputError for a picture that cannot be sent or understood, and where the endpoint does
    not serve; CloudFailure where the model fails.
    """
    body = read_picture(picture)
    content_type = mimetypes.guess_type(picture.name)[0] or ""
    if not content_type.startswith("image/"):
        content_type = "application/x-image"
    started_s = clock.monotonic_s()
    with explained(f"invoke the endpoint {endpoint}", aws.url):
        raw = _send(aws, endpoint, picture, body, content_type)
    content = decoded(raw)
    return Answer(
        endpoint=endpoint,
        picture=picture,
        labels=labels_of(content, top),
        content=content,
        seconds=clock.monotonic_s() - started_s,
    )


def read_picture(picture: Path) -> bytes:
    """Its bytes. Raises InputError for one that no endpoint takes."""
    try:
        body = picture.read_bytes()
    except OSError as error:
        raise InputError(f"the picture {picture} cannot be read: {error.strerror}") from error
    if not body:
        raise InputError(f"the picture {picture} is empty")
    if len(body) > MAX_BODY_BYTES:
        raise InputError(
            f"the picture {picture} has {len(body) / 1e6:.1f} MB; an endpoint takes "
            f"{MAX_BODY_BYTES / 1e6:.1f} MB at most. Make it smaller: the model looks at a few "
            "hundred pixels a side anyway."
        )
    return body


def _send(aws: Aws, endpoint: str, picture: Path, body: bytes, content_type: str) -> bytes:
    from botocore.exceptions import ClientError

    try:
        answer = aws.runtime.invoke_endpoint(
            EndpointName=endpoint, Body=body, ContentType=content_type, Accept=_ACCEPT
        )
        return answer["Body"].read()
    except ClientError as error:
        if error_code(error) == "ModelError":
            raise _model_error(endpoint, picture, error) from error
        if error_code(error) == "ValidationError" and "not found" in error_message(error):
            raise InputError(
                f"the endpoint {endpoint} does not serve: `fogbank status` says why, `fogbank up` "
                "deploys it."
            ) from error
        raise


def _model_error(endpoint: str, picture: Path, error: Exception) -> Exception:
    """The container's own status and message, without AWS's words around them."""
    response: dict[str, Any] = getattr(error, "response", {})
    status = response.get("OriginalStatusCode")
    message = str(response.get("OriginalMessage") or error_message(error)).strip()
    if isinstance(status, int) and 400 <= status < 500:
        return InputError(f"the model cannot use {picture}: {message}")
    return CloudFailure(
        f"the model of the endpoint {endpoint} failed with {picture}"
        f"{f' (status {status})' if status else ''}: {message}"
    )


def decoded(raw: bytes | str) -> Any:
    """JSON as what it stands for; anything else as text."""
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace") if isinstance(raw, bytes) else raw


def labels_of(content: Any, top: int) -> tuple[Label, ...]:
    """The best labels of a decoded answer; none where it has another form than that of Fogbank's
    serving code and of `fogbank.front`."""
    try:
        best = content["predictions"][0]["top"]
        return tuple(Label(str(item["label"]), float(item["probability"])) for item in best[:top])
    except (KeyError, IndexError, TypeError, ValueError):
        return ()
