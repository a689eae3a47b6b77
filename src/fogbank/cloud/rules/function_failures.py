"""What a caller is told when the runtime, not the function's code, failed.

Each is a `RuntimeFailure`: the payload of the answer, the word in REPORT, the words in the log.
Sources: public answers and logs of real accounts; "Troubleshoot invocation issues in Lambda"
(Lambda Developer Guide).
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass

MAX_RESPONSE_BYTES = 6_291_556
"""6 MB and the 100 bytes that AWS's own message counts in."""


@dataclass(frozen=True, slots=True)
class RuntimeFailure:
    """error_type: AWS's word. message: as the caller sees it. words: lines for the log; empty where
    the runtime wrote them itself. body: the runtime's own payload, where it sent one."""

    error_type: str
    message: str = ""
    words: tuple[str, ...] = ()
    body: bytes = b""

    @property
    def payload(self) -> bytes:
        """The JSON that the caller gets."""
        return (
            self.body
            or json.dumps({"errorType": self.error_type, "errorMessage": self.message}).encode()
        )


def timed_out(request_id: str, timeout_s: float) -> RuntimeFailure:
    """The function ran longer than its time-out."""
    message = f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds"
    return RuntimeFailure("Sandbox.Timedout", message)


def exited(
    request_id: str, *, code: int | None, signal_number: int | None, oom: bool
) -> RuntimeFailure:
    """The runtime's process ended while it had an event (`os._exit`, `sys.exit`, a crash)."""
    if signal_number is not None:
        name = signal.strsignal(signal_number) or str(signal_number)
        how = f"Runtime exited with error: signal: {name.lower()}"
    elif code:
        how = f"Runtime exited with error: exit status {code}"
    else:
        how = "Runtime exited without providing a reason"
    kind = "Runtime.OutOfMemory" if oom else "Runtime.ExitError"
    message = f"RequestId: {request_id} Error: {how}"
    return RuntimeFailure(kind, message, (message, kind))


def response_too_large() -> RuntimeFailure:
    """The answer of a synchronous call is over the limit."""
    return RuntimeFailure(
        "Function.ResponseSizeTooLarge",
        "Response payload size exceeded maximum allowed payload size "
        f"({MAX_RESPONSE_BYTES} bytes).",
    )


def refused_response() -> bytes:
    """What the runtime itself is told then, with status 413."""
    return json.dumps(
        {
            "errorMessage": f"Exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes).",
            "errorType": "RequestEntityTooLarge",
        }
    ).encode()
