"""The front itself: settings and clients, made once when the function starts and used by every
event; and the form of an answer.

An answer to a direct caller:

    statusCode       200
    headers          content type and CORS
    type-result      the type of the endpoint's answer
    COntent-Type-In  the context, as text
    body             JSON of the raw scores: a list a picture, one number a class
    predictions      labels and probabilities, a picture each; absent where the model has none

The first five are what callers of the handlers that are commonly put before SageMaker read. Callers
over HTTP get `statusCode`, `headers` and a body with both, {"scores", "predictions"}: API Gateway
knows no further fields.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from fogbank.front import endpoint
from fogbank.front.connection import TlsConnect, resolve
from fogbank.front.deadline import Deadline
from fogbank.front.endpoint import Result
from fogbank.front.event import Inline, StoredObject, Url, is_http, read_event
from fogbank.front.fetch import Fetch
from fogbank.front.formats import Picture, check_picture
from fogbank.front.refusals import HostNotAllowed, Preflight, Refusal
from fogbank.front.settings import Settings
from fogbank.front.stored import StoredPictures
from fogbank.front.urls import AllowedHosts

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

_LOG = logging.getLogger("fogbank.front")
_CORS = {"Access-Control-Allow-Origin": "*"}
_JSON = {"Content-Type": "application/json", **_CORS}
_MARGIN_S = 1.0
"""What is left for an answer when a fetch has used all its time."""


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int: ...


class Front:
    """fetch: gets the bytes behind an address. stored: those of an object; None where none may be
    read. Raises ValueError for settings that are none."""

    def __init__(
        self,
        settings: Settings,
        runtime: SageMakerRuntimeClient,
        *,
        fetch: Callable[[str, Deadline], bytes],
        stored: Callable[[str], bytes] | None = None,
    ) -> None:
        self.settings = settings
        self._runtime = runtime
        self._fetch = fetch
        self._stored = stored

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Front:
        """What the function's variables say, with real clients. See `Settings`."""
        from boto3.session import Session
        from botocore.config import Config

        settings = Settings.from_environment(environ)
        session = Session(region_name=environ.get("AWS_REGION"))
        config = Config(
            connect_timeout=endpoint.CONNECT_TIMEOUT_S,
            read_timeout=endpoint.READ_TIMEOUT_S,
            retries={"mode": "standard", "max_attempts": endpoint.NUM_RETRIES},
        )
        stored = None
        if settings.s3_prefixes:
            patience = Config(
                connect_timeout=endpoint.CONNECT_TIMEOUT_S,
                read_timeout=settings.fetch_timeout_s,
                retries={"mode": "standard", "max_attempts": endpoint.NUM_RETRIES},
            )
            stored = StoredPictures(
                session.client("s3", config=patience),
                settings.s3_prefixes,
                settings.max_picture_bytes,
            )
        return cls(
            settings,
            session.client("sagemaker-runtime", config=config),
            fetch=Fetch(
                AllowedHosts(settings.allowed_hosts),
                settings.max_picture_bytes,
                resolve=resolve,
                connect=TlsConnect(),
            ),
            stored=stored,
        )

    def picture(self, event: object, context: Context | None = None) -> Picture:
        """The picture that an event is about: fetched, read or decoded, and checked.

        Raises Refusal, whose kinds say why there is none.
        """
        match read_event(event, self.settings.max_picture_bytes):
            case Url(url):
                content = self._fetch(url, self._deadline(context))
            case StoredObject(uri):
                if self._stored is None:
                    raise HostNotAllowed("objects of S3 may not be read here")
                content = self._stored(uri)
            case Inline(content):
                pass
        return check_picture(content, self.settings.max_pixels)

    def _deadline(self, context: Context | None) -> Deadline:
        seconds = self.settings.fetch_timeout_s
        if context is not None:
            seconds = min(seconds, context.get_remaining_time_in_millis() / 1000 - _MARGIN_S)
        return Deadline(max(0.0, seconds), "fetching the picture")

    def classify(self, picture: Picture) -> Result:
        """What the endpoint says of a picture. Raises Refusal."""
        return endpoint.classify(self._runtime, self.settings.endpoint, picture)

    def answer(self, result: Result, event: object, context: object) -> dict[str, Any]:
        """The answer with status 200."""
        labels = {"predictions": list(result.predictions)} if result.predictions else {}
        if is_http(event):
            body = json.dumps({"scores": result.scores, **labels})
            return {"statusCode": 200, "headers": _JSON, "body": body}
        return {
            "statusCode": 200,
            "headers": _JSON,
            # The endpoint's answer is text before it is scores: what those handlers print.
            "type-result": str(str),
            "COntent-Type-In": str(context),
            "body": json.dumps(result.scores),
            **labels,
        }

    def refuse(self, refusal: Refusal, event: object, context: object) -> dict[str, Any]:
        """The answer with the refusal's status; its body is {"error", "message"}."""
        if isinstance(refusal, Preflight):
            asked = {"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "*"}
            return {"statusCode": refusal.status, "headers": {**_CORS, **asked}, "body": ""}
        cause = f" ({refusal.__cause__!r})" if refusal.__cause__ is not None else ""
        _LOG.warning("%d %s: %s%s", refusal.status, refusal.code, refusal, cause)
        headers = dict(_JSON)
        if refusal.retry_after_s is not None:
            headers["Retry-After"] = str(refusal.retry_after_s)
        body = json.dumps({"error": refusal.code, "message": str(refusal)})
        answer: dict[str, Any] = {
            "statusCode": refusal.status,
            "headers": headers,
            "body": body,
        }
        return answer if is_http(event) else {**answer, "COntent-Type-In": str(context)}
