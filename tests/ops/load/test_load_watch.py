"""What is seen of the cloud under load, and what becomes of it where the cloud does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from fogbank.aws import Aws, Credentials
from fogbank.core.errors import WorldError
from fogbank.ops.load.watch import Activity, Look, Watch
from fogbank.testing.clock import START, ManualClock

ALARM = "TargetTracking-endpoint/dogs/variant/AllTraffic-AlarmHigh-1"
UNREACHABLE = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")


class Cloud(Aws):
    """Every client in one. errors: what the next looks are answered with."""

    def __init__(self, *errors: Exception, activities: tuple[dict[str, Any], ...] = ()) -> None:
        keys = Credentials(access_key_id="A", secret_access_key="S")
        super().__init__(url="http://127.0.0.1:1", account="1", region="r", credentials=keys)
        self._errors = list(errors)
        self._activities = activities

    def client(self, service: str) -> Any:
        return self

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:
        if self._errors:
            raise self._errors.pop(0)
        variant = {"CurrentInstanceCount": 1, "DesiredInstanceCount": 3}
        return {"EndpointName": EndpointName, "ProductionVariants": [variant]}

    def describe_alarms(self, *, AlarmNamePrefix: str, StateValue: str) -> dict[str, Any]:
        assert ALARM.startswith(AlarmNamePrefix)
        return {"MetricAlarms": [{"AlarmName": ALARM}]}

    def get_paginator(self, operation: str) -> Cloud:
        return self

    def paginate(self, **params: Any) -> Iterator[dict[str, Any]]:
        if self._errors:
            raise self._errors.pop(0)
        yield {"ScalingActivities": list(self._activities)}


async def test_a_cloud_that_is_restarted_is_looked_at_again() -> None:
    clock, seen = ManualClock(), asyncio.Queue[Look]()
    watch = Watch(Cloud(UNREACHABLE, UNREACHABLE), "dogs", clock)
    looking = asyncio.create_task(watch.run(seen.put_nowait))
    while seen.empty():  # a look is made in a thread, which no clock waits for
        await clock.advance(1)
        assert not looking.done()
    looking.cancel()
    (look,) = watch.looks[:1]
    assert (look.serving, look.desired, look.alarm_sides) == (1, 3, ("AlarmHigh",))
    assert len(watch.failures) == 2
    assert "could not look at the endpoint dogs" in watch.failures[0]


def test_an_endpoint_that_is_gone_is_no_failure() -> None:
    gone = ClientError(
        {"Error": {"Code": "ValidationException", "Message": "Could not find endpoint"}}, "Describe"
    )
    assert Watch(Cloud(gone), "dogs", ManualClock()).look() is None
    with pytest.raises(WorldError, match="what the scaling of dogs did"):
        Watch(Cloud(UNREACHABLE), "dogs", ManualClock()).activities()


def activity(at_s: float, description: str) -> dict[str, Any]:
    return {
        "StartTime": START + timedelta(seconds=at_s),
        "Description": description,
        "Cause": "x",
        "StatusCode": "InProgress",
    }


@pytest.mark.observed
def test_activities_are_those_since_the_start_the_oldest_first() -> None:
    """A scheduled action asks for no number of instances."""
    cloud = Cloud(
        activities=(
            activity(9, "Setting desired instance count to 12."),
            activity(4, "Setting min capacity to 2 and max capacity to 5"),
            activity(-1, "Setting desired instance count to 1."),
        )
    )
    found = Watch(cloud, "dogs", ManualClock()).activities()
    assert [(each.started_s, each.count) for each in found] == [(4, None), (9, 12)]
    assert found[0] == Activity(
        4, None, "Setting min capacity to 2 and max capacity to 5", "x", "InProgress", None
    )
