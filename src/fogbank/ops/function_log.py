"""What the function wrote, all its environments together, in the order of time. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from fogbank.aws import Aws, is_missing
from fogbank.core.clock import Clock, epoch_ms

POLL_S = 1.0


class FunctionLog:
    """group: its log group."""

    def __init__(self, aws: Aws, group: str, clock: Clock) -> None:
        self._aws = aws
        self._group = group
        self._clock = clock
        self._seen: set[str] = set()

    def since(self, age: timedelta) -> list[str]:
        """Everything that is not older; nothing where the function has never run."""
        return list(self._new(self._clock.now() - age))

    def follow(self, pause: Callable[[float], None]) -> Iterator[str]:
        """What comes from now on, without end."""
        while True:
            # Events arrive late and out of order: a minute is looked at again and again.
            yield from self._new(self._clock.now() - timedelta(minutes=1))
            pause(POLL_S)

    def _new(self, start: datetime) -> Iterator[str]:
        from botocore.exceptions import ClientError

        pages = self._aws.logs.get_paginator("filter_log_events").paginate(
            logGroupName=self._group, startTime=epoch_ms(start)
        )
        try:
            for page in pages:
                for event in page["events"]:
                    if event["eventId"] not in self._seen:
                        self._seen.add(event["eventId"])
                        yield event["message"].rstrip("\n")
        except ClientError as error:
            if not is_missing(error):
                raise
