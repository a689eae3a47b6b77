"""Ask the endpoint, and say in the caller's terms what went wrong.

A container that fails is the model's business (424) and its words stay in the log; a container that
refuses the picture (4xx) is the caller's, and its words are for the caller.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.front.formats import Picture
from fogbank.front.refusals import (
    ModelFailed,
    NotAPicture,
    Refusal,
    Throttled,
    TimedOut,
    TooLarge,
)

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

READ_TIMEOUT_S = 70
"""An endpoint has 60 s for an answer; who waits less never reads why there is none (API reference,
InvokeEndpoint)."""

CONNECT_TIMEOUT_S = 5
NUM_RETRIES = 2
"""In mode "standard": the legacy default of four more attempts multiplies the load on an endpoint
that is slow already."""

_ACCEPT = "application/json;verbose=true, application/json"
_TIMED_OUT = "timed out"
_BUSY = frozenset(
    {
        "ModelNotReadyException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the endpoint said."""

    scores: Any
    """Raw, as the endpoint gives them: of Fogbank's serving code a list a picture, one number a
    class; of another's whatever JSON it answers."""
    predictions: Sequence[Mapping[str, Any]] = ()
    """A picture each: `label`, `probability` and `top`, a list of such, best first. Empty where the
    endpoint does not know labels."""


def classify(runtime: SageMakerRuntimeClient, endpoint: str, picture: Picture) -> Result:
    """Raises ModelFailed, NotAPicture, TooLarge, Throttled, TimedOut."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectTimeoutError,
        ReadTimeoutError,
    )

    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint,
            Body=picture.content,
            ContentType=picture.content_type,
            Accept=_ACCEPT,
        )
        raw = answer["Body"].read()
    except ClientError as error:
        raise _refusal(error.response) from error
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise TimedOut("the model took too long") from error
    except BotoCoreError as error:
        raise ModelFailed("the model could not be asked") from error
    try:
        return _result(json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise ModelFailed("the model's answer is not JSON") from error


def _refusal(response: Mapping[str, Any]) -> Refusal:
    code = str(response.get("Error", {}).get("Code", ""))
    if code in _BUSY:
        return Throttled("the model has no capacity left: try again", retry_after_s=1)
    if code != "ModelError":
        return ModelFailed("the model could not be asked")
    message = str(response.get("Error", {}).get("Message", ""))
    status = response.get("OriginalStatusCode")
    if _TIMED_OUT in message:
        return TimedOut("the model took too long")
    words = str(response.get("OriginalMessage") or "").strip()
    match status:
        case 400 | 415 | 422:
            return NotAPicture(f"the model cannot use the picture: {words}")
        case 413:
            return TooLarge(f"the model cannot use the picture: {words}")
        case 429:
            return Throttled("the model has no capacity left: try again")
        case _:
            return ModelFailed("the model failed" + (f" (status {status})" if status else ""))


def _result(content: Any) -> Result:
    if _is_verbose(content):
        pictures = content["predictions"]
        return Result(
            scores=[picture["scores"] for picture in pictures],
            predictions=[_labelled(picture) for picture in pictures],
        )
    return Result(scores=content)


def _is_verbose(content: Any) -> bool:
    """Whether it has the form of `fogbank.vision.serve`."""
    pictures = content.get("predictions") if isinstance(content, dict) else None
    return isinstance(pictures, list) and all(
        isinstance(picture, dict) and {"label", "probability", "top", "scores"} <= picture.keys()
        for picture in pictures
    )


def _labelled(picture: Mapping[str, Any]) -> Mapping[str, Any]:
    probability = picture["probability"]
    if isinstance(probability, float) and not math.isfinite(probability):
        raise ModelFailed("the model's probabilities are not numbers")
    return {name: picture[name] for name in ("label", "probability", "top")}
