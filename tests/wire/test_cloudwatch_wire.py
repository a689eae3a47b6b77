"""cloudwatch over the wire: botocore's own client and paginators against a running cloud."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from fogbank.core.clock import SystemClock
from fogbank.testing.cloud import RunningCloud


def minutes_ago(number: int) -> datetime:
    now = SystemClock().now().replace(second=0, microsecond=0)
    return now - timedelta(minutes=number)


def put(cloudwatch: Any, namespace: str) -> None:
    job = [{"Name": "TrainingJobName", "Value": "dogs"}]
    cloudwatch.put_metric_data(
        Namespace=namespace,
        MetricData=[
            {
                "MetricName": "loss",
                "Dimensions": job,
                "Timestamp": minutes_ago(number),
                "Value": float(number),
            }
            for number in (30, 20, 10)
        ],
    )


@pytest.mark.model
def test_data_that_went_in_comes_out_by_statistics_and_by_pages(cloud: RunningCloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    put(cloudwatch, "Wire/A")
    job = [{"Name": "TrainingJobName", "Value": "dogs"}]
    answer = cloudwatch.get_metric_statistics(
        Namespace="Wire/A",
        MetricName="loss",
        Dimensions=job,
        StartTime=minutes_ago(60),
        EndTime=minutes_ago(0),
        Period=60,
        Statistics=["Average"],
    )
    points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
    assert [point["Average"] for point in points] == [30.0, 20.0, 10.0]
    assert points[0]["Timestamp"] == minutes_ago(30)
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[
            {
                "Id": "loss",
                "MetricStat": {
                    "Metric": {"Namespace": "Wire/A", "MetricName": "loss", "Dimensions": job},
                    "Period": 60,
                    "Stat": "p50",
                },
            }
        ],
        StartTime=minutes_ago(60),
        EndTime=minutes_ago(0),
        ScanBy="TimestampAscending",
        PaginationConfig={"PageSize": 2},
    )
    values = [value for page in pages for value in page["MetricDataResults"][0]["Values"]]
    assert values == [30.0, 20.0, 10.0]


@pytest.mark.model
def test_metrics_are_listed(cloud: RunningCloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    put(cloudwatch, "Wire/B")
    pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace="Wire/B")
    (metric,) = [metric for page in pages for metric in page["Metrics"]]
    assert metric == {
        "Namespace": "Wire/B",
        "MetricName": "loss",
        "Dimensions": [{"Name": "TrainingJobName", "Value": "dogs"}],
    }


@pytest.mark.model
def test_errors_are_the_modelled_ones(cloud: RunningCloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    with pytest.raises(cloudwatch.exceptions.InvalidParameterCombinationException):
        cloudwatch.put_metric_data(
            Namespace="Wire/C", MetricData=[{"MetricName": "x", "Value": 1.0, "Values": [1.0]}]
        )
    with pytest.raises(cloudwatch.exceptions.ClientError, match="ValidationError"):
        cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "e", "Expression": "1 + 1"}],
            StartTime=minutes_ago(60),
            EndTime=minutes_ago(0),
        )
