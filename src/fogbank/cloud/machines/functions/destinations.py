"""Where records of asynchronous invocations go: another function, or an S3 bucket.

SQS, SNS and EventBridge are not in this cloud: such a delivery fails, and says so.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fogbank.cloud.ports import Objects, Records
from fogbank.cloud.records.function import Function, QueuedEvent
from fogbank.cloud.rules.function_events import s3_key
from fogbank.core.arn import Arn
from fogbank.core.clock import Clock
from fogbank.core.errors import FogbankError


class DeliveryFailed(FogbankError):
    """The destination did not take the record. The text says why."""


class Destinations:
    def __init__(self, records: Records, objects: Objects, clock: Clock) -> None:
        self._records = records
        self._objects = objects
        self._clock = clock

    async def deliver(self, destination_arn: str, function: str, record: Mapping[str, Any]) -> None:
        """Give a record to a destination. function: whose record it is. Raises DeliveryFailed."""
        arn = Arn.parse(destination_arn)
        if arn.service == "lambda":
            self._to_function(arn, record)
        elif arn.service == "s3":
            await self._to_bucket(arn.resource, function, record)
        else:
            raise DeliveryFailed(f"{arn.service} is not in this cloud: {destination_arn}")

    def _to_function(self, arn: Arn, record: Mapping[str, Any]) -> None:
        _, name, *qualifier = arn.resource.split(":")
        if self._records.get(Function, name) is None:
            raise DeliveryFailed(f"function {name} does not exist")
        now = self._clock.now()
        self._records.put(
            QueuedEvent(
                request_id=str(uuid.uuid4()),
                function=name,
                qualifier=qualifier[0] if qualifier else "",
                payload=json.dumps(record),
                accepted=now,
                due=now,
            )
        )

    async def _to_bucket(self, bucket: str, function: str, record: Mapping[str, Any]) -> None:
        key = s3_key(function, self._clock.now(), str(uuid.uuid4()))
        try:
            with tempfile.TemporaryDirectory(prefix="fogbank-record-") as folder:
                file = Path(folder, "record.json")
                file.write_text(json.dumps(record))
                await self._objects.put_file(bucket, key, file, content_type="application/json")
        except (LookupError, OSError) as error:  # no such bucket; a full disk
            raise DeliveryFailed(f"s3://{bucket}/{key}: {error}") from error
