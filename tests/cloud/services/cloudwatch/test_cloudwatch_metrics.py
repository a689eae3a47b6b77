from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.aws import NOW, SCOPE, Service, context, refused
from fogbank.cloud.services.cloudwatch.service import rooms
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.metric_store import MetricStore
from fogbank.cloud.state.records import SqliteRecords

HOUR_AGO = NOW - timedelta(hours=1)


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here sleeps")


class CloudWatch:
    def __init__(self) -> None:
        self.database = Database(":memory:", schema="telemetry")
        self.store = MetricStore(self.database, FixedClock())
        records = SqliteRecords(Database(":memory:"))
        self.service = Service("cloudwatch", *rooms(self.store, records, SCOPE))

    def call(self, name: str, **params: Any) -> Any:
        return self.service.call(name, context(), params)

    def put(self, *data: dict[str, Any], namespace: str = "Test") -> None:
        self.call("PutMetricData", Namespace=namespace, MetricData=[named(item) for item in data])

    def values(self, *minutes_and_values: tuple[int, float]) -> None:
        """One value each, so many minutes after an hour ago."""
        self.put(*({"Timestamp": minute(m), "Value": value} for m, value in minutes_and_values))

    def statistics(self, **params: Any) -> list[dict[str, Any]]:
        defaults = {
            "Namespace": "Test",
            "MetricName": "Loss",
            "StartTime": HOUR_AGO,
            "EndTime": NOW,
            "Period": 60,
        }
        if "ExtendedStatistics" not in params:
            defaults["Statistics"] = ["Sum"]
        answer = self.call("GetMetricStatistics", **{**defaults, **params})
        points: list[dict[str, Any]] = answer["Datapoints"]
        return sorted(points, key=lambda point: point["Timestamp"])

    def data(self, *queries: dict[str, Any], **params: Any) -> Any:
        defaults = {"StartTime": HOUR_AGO, "EndTime": NOW, "ScanBy": "TimestampAscending"}
        return self.call("GetMetricData", **{**defaults, **params, "MetricDataQueries": queries})


def minute(number: int) -> datetime:
    return HOUR_AGO + timedelta(minutes=number)


def named(item: dict[str, Any]) -> dict[str, Any]:
    return {"MetricName": "Loss", **item}


def stat(query_id: str = "q", statistic: str = "Sum", period_s: int = 60, **more: Any) -> Any:
    metric = {"Namespace": "Test", "MetricName": "Loss"}
    return {
        "Id": query_id,
        "MetricStat": {"Metric": metric, "Period": period_s, "Stat": statistic},
        **more,
    }


@pytest.fixture
def cloudwatch() -> Iterator[CloudWatch]:
    found = CloudWatch()
    yield found
    found.database.close()


class TestPut:
    @pytest.mark.docs
    def test_values_counts_and_statistic_sets_add_up(self, cloudwatch: CloudWatch) -> None:
        cloudwatch.put(
            {"Value": 1.0, "Timestamp": minute(0)},
            {"Values": [2.0, 3.0], "Counts": [10.0, 1.0], "Timestamp": minute(0)},
            {"Values": [4.0], "Timestamp": minute(0)},
            {
                "StatisticValues": {
                    "SampleCount": 2.0, "Sum": 11.0, "Minimum": 5.0, "Maximum": 6.0,
                },
                "Timestamp": minute(0),
            },
        )  # fmt: skip
        (point,) = cloudwatch.statistics(
            Statistics=["SampleCount", "Sum", "Minimum", "Maximum", "Average"]
        )
        assert point == {
            "Timestamp": minute(0),
            "Unit": "None",
            "SampleCount": 15.0,
            "Sum": 39.0,
            "Minimum": 1.0,
            "Maximum": 6.0,
            "Average": 39.0 / 15,
        }

    @pytest.mark.docs
    def test_what_is_acknowledged_is_stored(self, cloudwatch: CloudWatch) -> None:
        cloudwatch.put({"Value": 1.0})
        again = MetricStore(cloudwatch.database, FixedClock())
        assert [metric.name for metric in again.metrics(since=HOUR_AGO)] == ["Loss"]

    @pytest.mark.model
    @pytest.mark.parametrize(
        ("item", "code", "words"),
        [
            ({}, "MissingParameter", "MetricData.member.2.Value"),
            ({"Values": []}, "MissingParameter", "Values"),
            (
                {"Value": 1.0, "Values": [1.0]},
                "InvalidParameterCombination",
                "MetricData.member.2.Value and MetricData.member.2.Values are mutually exclusive",
            ),
            ({"Values": [1.0], "Counts": [1.0, 2.0]}, "InvalidParameterValue", "the same size"),
            ({"Values": [1.0], "Counts": [0.0]}, "InvalidParameterValue", "Counts.member.1"),
            ({"Values": [1.0] * 151}, "InvalidParameterValue", "greater than 150"),
            ({"Value": math.nan}, "InvalidParameterValue", "The value nan for parameter"),
            ({"Value": -(2.0**361)}, "InvalidParameterValue", "MetricData.member.2.Value"),
            ({"Value": 1.0, "StorageResolution": 30}, "InvalidParameterValue", "StorageResolution"),
            (
                {"Value": 1.0, "Timestamp": NOW - timedelta(days=14, seconds=1)},
                "InvalidParameterValue",
                "within the past two weeks",
            ),
            (
                {"Value": 1.0, "Timestamp": NOW + timedelta(hours=2, seconds=1)},
                "InvalidParameterValue",
                "no more than two hours in the future",
            ),
            (
                {"Value": 1.0, "Dimensions": [{"Name": "a", "Value": "1"}] * 2},
                "InvalidParameterValue",
                "different",
            ),
            (
                {
                    "StatisticValues": {
                        "SampleCount": 0.0, "Sum": 0.0, "Minimum": 0.0, "Maximum": 0.0,
                    }
                },
                "InvalidParameterValue",
                "StatisticValues",
            ),
        ],
    )  # fmt: skip
    def test_one_bad_item_refuses_them_all(
        self, cloudwatch: CloudWatch, item: dict[str, Any], code: str, words: str
    ) -> None:
        with refused(code, 400, words):
            cloudwatch.put({"Value": 1.0}, item)
        assert cloudwatch.call("ListMetrics")["Metrics"] == []

    @pytest.mark.docs
    def test_limits_of_the_request(self, cloudwatch: CloudWatch) -> None:
        with refused("MissingParameter", 400):
            cloudwatch.put()
        with refused("InvalidParameterValue", 400, "AWS/Lambda"):
            cloudwatch.put({"Value": 1.0}, namespace="AWS/Lambda")
        with refused("InvalidParameterValue", 400, "greater than 1000"):
            cloudwatch.put(*[{"Value": 1.0}] * 1001)
        cloudwatch.put(*[{"Value": 1.0}] * 1000)


class TestStatistics:
    @pytest.mark.docs
    def test_the_range_is_rounded_down_inclusive_and_exclusive(
        self, cloudwatch: CloudWatch
    ) -> None:
        cloudwatch.values((0, 1), (1, 2), (2, 4), (3, 8))
        found = cloudwatch.statistics(
            StartTime=minute(1) + timedelta(seconds=59), EndTime=minute(3)
        )
        assert [(p["Timestamp"], p["Sum"]) for p in found] == [(minute(1), 2), (minute(2), 4)]

    @pytest.mark.docs
    def test_dimensions_must_match_exactly(self, cloudwatch: CloudWatch) -> None:
        job = {"Name": "TrainingJobName", "Value": "dogs"}
        host = {"Name": "Host", "Value": "algo-1"}
        cloudwatch.put({"Value": 1.0, "Dimensions": [job, host], "Timestamp": minute(0)})
        assert cloudwatch.statistics() == []
        assert cloudwatch.statistics(Dimensions=[job]) == []
        assert len(cloudwatch.statistics(Dimensions=[host, job])) == 1

    @pytest.mark.docs
    def test_units_are_kept_apart(self, cloudwatch: CloudWatch) -> None:
        for unit, value in (("Seconds", 1.0), ("Count", 2.0)):
            cloudwatch.put({"Value": value, "Unit": unit, "Timestamp": minute(0)})
        assert {(p["Unit"], p["Sum"]) for p in cloudwatch.statistics()} == {
            ("Seconds", 1.0),
            ("Count", 2.0),
        }
        assert [p["Sum"] for p in cloudwatch.statistics(Unit="Count")] == [2.0]

    @pytest.mark.docs
    def test_percentiles_of_values_but_not_of_statistic_sets(self, cloudwatch: CloudWatch) -> None:
        cloudwatch.put({"Values": [float(n) for n in range(1, 101)], "Timestamp": minute(0)})
        equal = {"SampleCount": 4.0, "Sum": 8.0, "Minimum": 2.0, "Maximum": 2.0}
        mixed = {"SampleCount": 4.0, "Sum": 9.0, "Minimum": 2.0, "Maximum": 3.0}
        cloudwatch.put({"StatisticValues": equal, "Timestamp": minute(1)})
        cloudwatch.put({"StatisticValues": mixed, "Timestamp": minute(2)})
        points = cloudwatch.statistics(ExtendedStatistics=["p50", "p99.5"])
        assert [point["ExtendedStatistics"] for point in points] == [
            {"p50": 50.0, "p99.5": 100.0},
            {"p50": 2.0, "p99.5": 2.0},
            {},
        ]

    @pytest.mark.model
    @pytest.mark.parametrize(
        ("params", "code", "words"),
        [
            ({"Period": 61}, "InvalidParameterValue", "Period"),
            ({"StartTime": NOW}, "InvalidParameterValue", "StartTime must be less than"),
            ({"Period": 1}, "InvalidParameterCombination", "up to 3,600 datapoints"),
            ({"Statistics": []}, "InvalidParameterCombination", "Exactly one"),
            (
                {"Statistics": ["Sum"], "ExtendedStatistics": ["p1"]},
                "InvalidParameterCombination",
                "Exactly one",
            ),
            ({"ExtendedStatistics": ["p101"]}, "InvalidParameterValue", "p101"),
            ({"ExtendedStatistics": ["Sum"]}, "InvalidParameterValue", "Sum"),
        ],
    )
    def test_bad_requests_are_refused(
        self, cloudwatch: CloudWatch, params: dict[str, Any], code: str, words: str
    ) -> None:
        with refused(code, 400, words):
            cloudwatch.statistics(**params)

    @pytest.mark.docs
    def test_high_resolution_metrics_answer_in_seconds(self, cloudwatch: CloudWatch) -> None:
        for second in range(20):
            at = minute(59) + timedelta(seconds=second)
            cloudwatch.put({"Value": 1.0, "Timestamp": at, "StorageResolution": 1})
        points = cloudwatch.statistics(StartTime=minute(59), Period=10)
        assert [point["Sum"] for point in points] == [10.0, 10.0]


class TestData:
    @pytest.mark.docs
    def test_each_query_has_its_result_in_the_order_asked_for(self, cloudwatch: CloudWatch) -> None:
        cloudwatch.values((0, 1), (1, 3), (5, 5))
        answer = cloudwatch.data(
            stat("a"), stat("b", "Average", 300, Label="mean"), stat("hidden", ReturnData=False)
        )
        first, second = answer["MetricDataResults"]
        assert first == {
            "Id": "a",
            "Label": "Loss",
            "Timestamps": [minute(0), minute(1), minute(5)],
            "Values": [1.0, 3.0, 5.0],
            "StatusCode": "Complete",
        }
        assert (second["Label"], second["Values"]) == ("mean", [2.0, 5.0])
        newest = cloudwatch.data(stat("a"), ScanBy="TimestampDescending")["MetricDataResults"][0]
        assert newest["Values"] == [5.0, 3.0, 1.0]

    @pytest.mark.docs
    def test_expressions_are_computed_from_the_other_queries(self, cloudwatch: CloudWatch) -> None:
        cloudwatch.values((0, 2), (1, 4), (3, 8))
        answer = cloudwatch.data(
            stat("a", ReturnData=False),
            {"Id": "half", "Expression": "a / 2", "ReturnData": False},
            {"Id": "e", "Expression": "half + 1", "Label": "half and one"},
            {"Id": "f", "Expression": "FILL(a, 0)"},
            EndTime=minute(4),
        )
        of_some, of_all = answer["MetricDataResults"]
        assert (of_some["Label"], of_some["Values"]) == ("half and one", [2.0, 3.0, 5.0])
        assert of_some["Timestamps"] == [minute(0), minute(1), minute(3)]
        assert (of_all["Label"], of_all["Values"]) == ("f", [2.0, 4.0, 0.0, 8.0])

    @pytest.mark.docs
    def test_a_search_gives_every_metric_that_it_finds(self, cloudwatch: CloudWatch) -> None:
        for host, value in (("a", 1.0), ("b", 2.0)):
            dimensions = [{"Name": "Host", "Value": host}]
            cloudwatch.put({"Value": value, "Timestamp": minute(0), "Dimensions": dimensions})
        cloudwatch.values((0, 9))
        search = {"Id": "s", "Expression": "SEARCH('{Test,Host} MetricName=\"Loss\"', 'Sum', 60)"}
        results = cloudwatch.data(search, stat("m"))["MetricDataResults"]
        assert [(each["Id"], each["Label"], each["Values"]) for each in results] == [
            ("s", "a Loss", [1.0]),
            ("s", "b Loss", [2.0]),
            ("m", "Loss", [9.0]),
        ]
        first = cloudwatch.data({**search, "Label": "all"}, MaxDatapoints=1)
        (one,) = [each for each in first["MetricDataResults"] if each["Values"]]
        assert one["Label"] == "all a Loss"
        later = cloudwatch.data({**search, "ReturnData": False}, stat("m"))["MetricDataResults"]
        assert [each["Id"] for each in later] == ["m"]

    @given(
        st.dictionaries(st.integers(0, 59), st.integers(0, 99), max_size=12),
        st.integers(1, 5),
        st.sampled_from(["TimestampAscending", "TimestampDescending"]),
    )
    def test_pages_put_together_are_the_whole_answer(
        self, values: dict[int, int], size: int, order: str
    ) -> None:
        cloudwatch = CloudWatch()
        if values:
            cloudwatch.values(*values.items())
        queries = (stat("a"), stat("b", "p50", 300), stat("c", "Maximum", 120))
        whole = cloudwatch.data(*queries, ScanBy=order)["MetricDataResults"]
        seen: dict[str, list[tuple[datetime, float]]] = {"a": [], "b": [], "c": []}
        token: dict[str, str] = {}
        while True:
            answer = cloudwatch.data(*queries, ScanBy=order, MaxDatapoints=size, **token)
            page = answer["MetricDataResults"]
            assert sum(len(result["Values"]) for result in page) <= size
            for result in page:
                seen[result["Id"]] += zip(result["Timestamps"], result["Values"], strict=True)
            if "NextToken" not in answer:
                assert {result["StatusCode"] for result in page} <= {"Complete"}
                break
            assert "PartialData" in {result["StatusCode"] for result in page}
            token = {"NextToken": answer["NextToken"]}
        for result in whole:
            assert seen[result["Id"]] == list(
                zip(result["Timestamps"], result["Values"], strict=True)
            )
        assert sum(value for _, value in seen["a"]) == sum(values.values())
        cloudwatch.database.close()

    @pytest.mark.docs
    @pytest.mark.parametrize(
        ("queries", "words"),
        [
            ([], "MetricDataQueries is required"),
            ([{"Id": "e", "Expression": "SUM(METRICS())"}], "needs a Period"),
            ([{"Id": "e", "Expression": "1 +", "Period": 60}], "not understood"),
            ([{"Id": "e", "Expression": "a + 1"}], "it names a"),
            ([stat("a"), {"Id": "e", "Expression": "MEDIAN(a)"}], "MEDIAN is not one of"),
            (
                [{"Id": "e", "Expression": "f + 1"}, {"Id": "f", "Expression": "e + 1"}],
                "depends on itself",
            ),
            ([{"Id": "s", "Expression": "SEARCH('a OR b', 'Sum', 60)"}], "OR"),
            ([{"Id": "s", "Expression": "SEARCH('a', 'Sum', 61)"}], "period"),
            ([{"Id": "s", "Expression": "SEARCH('a', 'Mean', 60)"}], "Mean"),
            ([{"Id": "s", "Expression": "SUM(SEARCH('a', 'Sum', 60))", "Period": 60}], "SEARCH"),
            (
                [
                    {"Id": "s", "Expression": "SEARCH('a', 'Sum', 60)"},
                    {"Id": "e", "Expression": "SUM(s)"},
                ],
                "rests on s, a search",
            ),
            ([{"Id": "e"}], "exactly one of"),
            ([stat("A")], "expected pattern"),
            ([stat("a"), stat("a")], "must be unique"),
            ([stat("a", "tm101")], "is not supported"),
            ([stat("a", period_s=7)], "Period"),
            ([stat(f"q{n}") for n in range(501)], "greater than 500"),
        ],
    )
    def test_bad_queries_are_validation_errors(
        self, cloudwatch: CloudWatch, queries: list[dict[str, Any]], words: str
    ) -> None:
        with refused("ValidationError", 400, words):
            cloudwatch.data(*queries)

    @pytest.mark.model
    def test_a_token_that_is_none_is_refused(self, cloudwatch: CloudWatch) -> None:
        with refused("InvalidNextToken", 400):
            cloudwatch.data(stat(), NextToken="x")


class TestList:
    @pytest.mark.docs
    def test_filters_take_some_dimensions_of_a_metric(self, cloudwatch: CloudWatch) -> None:
        one, two = {"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}
        cloudwatch.put({"Value": 1.0, "Dimensions": [two, one]}, {"Value": 1.0})
        cloudwatch.put({"Value": 1.0, "MetricName": "Accuracy"}, namespace="Other")

        def names(**params: Any) -> list[str]:
            return [m["MetricName"] for m in cloudwatch.call("ListMetrics", **params)["Metrics"]]

        assert names() == ["Accuracy", "Loss", "Loss"]
        assert names(Namespace="Test", MetricName="Loss") == ["Loss", "Loss"]
        (found,) = cloudwatch.call("ListMetrics", Dimensions=[{"Name": "b"}])["Metrics"]
        assert found["Dimensions"] == [one, two]
        assert names(Dimensions=[{"Name": "b", "Value": "3"}]) == []

    @pytest.mark.docs
    def test_recently_active_means_three_hours(self, cloudwatch: CloudWatch) -> None:
        cloudwatch.put({"Value": 1.0, "Timestamp": NOW - timedelta(hours=4)})
        assert len(cloudwatch.call("ListMetrics")["Metrics"]) == 1
        assert cloudwatch.call("ListMetrics", RecentlyActive="PT3H")["Metrics"] == []

    @pytest.mark.docs
    def test_five_hundred_come_on_a_page(self, cloudwatch: CloudWatch) -> None:
        cloudwatch.put(*({"Value": 1.0, "MetricName": f"m{n:03d}"} for n in range(501)))
        first = cloudwatch.call("ListMetrics")
        second = cloudwatch.call("ListMetrics", NextToken=first["NextToken"])
        assert len(first["Metrics"]) == 500
        assert [metric["MetricName"] for metric in second["Metrics"]] == ["m500"]
        assert "NextToken" not in second
        with refused("InvalidParameterValue", 400, "NextToken"):
            cloudwatch.call("ListMetrics", NextToken="x")
