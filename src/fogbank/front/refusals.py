"""Why an event gets no scores. Every message is for the caller: it says nothing of the inside.

Refusal
├── BadEvent        400  the event itself, or what its address leads to
├── HostNotAllowed  403  a host, bucket or network address that may not be read
├── TooLarge        413  bytes or pixels
├── NotAPicture     415
├── ModelFailed     424
├── Throttled       429  with Retry-After
├── TimedOut        504
└── Preflight       204  no refusal at all: a browser asks whether it may call
"""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """Ends the handling of an event. The cause, where there is one, is for the log alone."""

    status: ClassVar[int]
    retry_after_s: int | None = None

    @property
    def code(self) -> str:
        """What kind it is, for programs."""
        return type(self).__name__


class BadEvent(Refusal):
    """A picture that its host does not hand out is the event's fault, too: a stranger must not be
    able to set off alarms that watch for 5xx."""

    status = 400


class HostNotAllowed(Refusal):
    status = 403


class TooLarge(Refusal):
    status = 413


class NotAPicture(Refusal):
    status = 415


class ModelFailed(Refusal):
    status = 424


class Throttled(Refusal):
    status = 429

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TimedOut(Refusal):
    status = 504


class Preflight(Refusal):
    status = 204
