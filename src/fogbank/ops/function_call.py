"""Call the function, as a client would: an event goes out, its answer and the end of its log come
back.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fogbank.aws import Aws, error_code, error_message, explained, is_missing
from fogbank.core.clock import Clock
from fogbank.core.errors import InputError
from fogbank.ops.invoke import Answer, decoded, labels_of, read_picture
from fogbank.ops.names import ALIAS
from fogbank.ops.world import CloudFailure

MAX_PICTURE_BYTES = 4_500_000
"""As base64 it fills Lambda's 6 MB for an event (Lambda quotas)."""


class NoFunction(InputError):
    """There is no function, or no alias of it."""


@dataclass(frozen=True, kw_only=True)
class Called:
    """What one call came to."""

    function: str
    version: str
    """Which version the alias stood for."""
    answer: Any
    """Decoded JSON, else text."""
    error: str | None
    """`Handled` or `Unhandled` where the function itself failed."""
    log: tuple[str, ...]
    """The last 4 KB of what it wrote."""
    seconds: float
    """From the request to the answer."""

    @property
    def report(self) -> str:
        """Lambda's line about the call: duration, memory, whether it was cold. "" without one."""
        lines = [line for line in self.log if line.startswith("REPORT ")]
        return "  ".join(lines[-1].split("\t")).strip() if lines else ""


def call(aws: Aws, function: str, event: Any, *, clock: Clock) -> Called:
    """Send one event to the function's alias and wait for the answer.

    Raises NoFunction; CloudFailure where no environment may take it; WorldError.
    """
    from botocore.exceptions import ClientError

    started_s = clock.monotonic_s()
    with explained(f"call the function {function}", aws.url):
        try:
            answer = aws.lambda_.invoke(
                FunctionName=function,
                Qualifier=ALIAS,
                LogType="Tail",
                Payload=json.dumps(event).encode(),
            )
            payload = answer["Payload"].read()
        except ClientError as error:
            if is_missing(error):
                raise NoFunction(
                    f"there is no function {function}:{ALIAS}: `fogbank function deploy` makes it."
                ) from error
            if error_code(error) == "TooManyRequestsException":
                reason = error.response.get("Reason", error_message(error))
                raise CloudFailure(
                    f"the function {function} is throttled ({reason}): `fogbank function "
                    "concurrency` shows what it may run at once."
                ) from error
            raise
    seconds = clock.monotonic_s() - started_s
    tail = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    return Called(
        function=f"{function}:{ALIAS}",
        version=answer.get("ExecutedVersion", ""),
        answer=decoded(payload),
        error=answer.get("FunctionError"),
        log=tuple(tail.splitlines()),
        seconds=seconds,
    )


def ask(
    aws: Aws, function: str, endpoint: str, picture: Path | str, *, top: int, clock: Clock
) -> Answer:
    """Send one picture - a file, or the address of one - to the project's function.

    Raises InputError for a picture that the function refuses, NoFunction, CloudFailure.
    """
    called = call(aws, function, _event(picture), clock=clock)
    if called.error is not None:
        raise CloudFailure(_failure(called))
    content = called.answer
    status = content.get("statusCode") if isinstance(content, dict) else None
    if isinstance(status, int) and status >= 400:
        raise _refusal(called.function, picture, status, content)
    return Answer(
        endpoint=endpoint,
        picture=picture,
        labels=labels_of(content, top),
        content=content,
        seconds=called.seconds,
        function=called.function,
        report=called.report,
    )


def _event(picture: Path | str) -> dict[str, str]:
    if isinstance(picture, str):
        return {"s3" if picture.startswith("s3://") else "url": picture}
    body = read_picture(picture)
    if len(body) > MAX_PICTURE_BYTES:
        raise InputError(
            f"the picture {picture} has {len(body) / 1e6:.1f} MB; an event takes "
            f"{MAX_PICTURE_BYTES / 1e6:.1f} MB at most. Make it smaller: the model looks at a few "
            "hundred pixels a side anyway."
        )
    return {"image": base64.b64encode(body).decode()}


def _failure(called: Called) -> str:
    answer = called.answer if isinstance(called.answer, dict) else {}
    kind, message = answer.get("errorType", ""), answer.get("errorMessage", called.answer)
    said = "\n".join(f"  {line}" for line in called.log)
    return (
        f"the function {called.function} failed: {f'{kind}: ' if kind else ''}{message}\n{said}\n"
        "`fogbank function logs` has the whole log."
    )


def _refusal(function: str, picture: Path | str, status: int, content: Any) -> Exception:
    body = decoded(str(content.get("body", "")))
    message = body.get("message", body) if isinstance(body, dict) else body
    text = f"the function {function} refused {picture} ({status}): {message}"
    if status == 403 and isinstance(picture, str):
        key = "s3_prefixes" if picture.startswith("s3://") else "allowed_hosts"
        text += f". function.{key} in fogbank.yaml says whose pictures it may read."
    return InputError(text) if status in (400, 403, 413, 415) else CloudFailure(text)
