"""Jobs that cannot be started again: training jobs and tuning jobs. One that failed or was stopped
is followed by a next attempt, with the next number behind its name.

Comes in: what such a job is called, and the attempts that were found. Goes out: steps. `create` and
`ask_to_stop` make one call each; all else is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fogbank.aws import error_code, error_message
from fogbank.ops.names import PROJECT_TAG, attempt_of, next_attempt
from fogbank.ops.step import Step

RUNNING = ("InProgress", "Stopping")
"""Statuses of a job that has not ended."""


class Attempt(Protocol):
    """A job as it was found."""

    @property
    def name(self) -> str: ...

    @property
    def status(self) -> str:
        """InProgress, Completed, Failed, Stopping or Stopped."""

    @property
    def reason(self) -> str:
        """Why it failed."""

    @property
    def has_result(self) -> bool:
        """Whether it came to its end, and what it was for is there."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """What people are told about one kind of job; {name} stands for the job's."""

    kind: Literal["training-job", "tuning-job"]
    result: str
    """What it is for: "model"."""
    not_tried: str
    """Why there is a first attempt."""
    lost: str
    """Why there is a next one, where the last has completed and its result is not there."""
    going_on: str
    """What goes on in the cloud while nobody waits."""

    @property
    def noun(self) -> str:
        return self.kind.replace("-", " ")


def in_order(base_name: str, names: Iterable[str]) -> list[str]:
    """Those names that are of attempts at `base_name`, the first one first."""
    attempts = {name: attempt_of(base_name, name) for name in names}
    numbered = {number: name for name, number in attempts.items() if number is not None}
    return [numbered[number] for number in sorted(numbered)]


def name_of(base_name: str, found: Sequence[Attempt]) -> str:
    """The attempt that has, or will have, the result."""
    if not found:
        return base_name
    latest = found[-1]
    if latest.has_result or latest.status in RUNNING:
        return latest.name
    return next_attempt(base_name, latest.name)


def diff(
    words: Words, base_name: str, found: Sequence[Attempt], start: Callable[[str, str], Step]
) -> list[Step]:
    """start: makes the step that starts a job, of its name and the reason for it."""
    latest = found[-1] if found else None
    if latest is not None and latest.has_result:
        return []
    if latest is not None and latest.status in RUNNING:
        return [_wait(words, latest.name, f"it is {latest.status}")]
    name = name_of(base_name, found)
    return [
        start(name, _reason(words, latest)),
        _wait(words, name, f"its {words.result} is needed"),
    ]


def _wait(words: Words, name: str, reason: str) -> Step:
    return Step(
        kind=words.kind,
        verb="wait",
        name=name,
        message=f"wait for the {words.noun} {name}",
        reason=reason,
        if_interrupted=words.going_on.format(name=name),
    )


def _reason(words: Words, latest: Attempt | None) -> str:
    if latest is None:
        return words.not_tried
    if latest.status == "Completed":
        return words.lost.format(name=latest.name)
    if latest.status == "Stopped":
        return f"{latest.name} was stopped"
    return f"{latest.name} failed: {latest.reason.splitlines()[0] if latest.reason else 'unknown'}"


def stop(
    words: Words, name: str, reason: str = f"it carries the tag {PROJECT_TAG} and runs"
) -> Step:
    """AWS keeps such jobs for ever: one that runs is stopped, and that is all."""
    return Step(
        kind=words.kind,
        verb="stop",
        name=name,
        message=f"stop the {words.noun} {name}",
        reason=reason,
        if_interrupted=f"the {words.noun} {name} is being stopped",
    )


def create(call: Callable[..., object], request: Mapping[str, Any]) -> None:
    """Make the call that creates the job, unless it is there already."""
    from botocore.exceptions import ClientError

    try:
        call(**request)
    except ClientError as error:
        # An answer that got lost, and the retry of the request.
        if error_code(error) != "ResourceInUse":
            raise


def ask_to_stop(call: Callable[..., object], **name: str) -> None:
    """Make the call that stops the job, unless it has ended in the meantime."""
    from botocore.exceptions import ClientError

    try:
        call(**name)
    except ClientError as error:
        if "status" not in error_message(error):
            raise
