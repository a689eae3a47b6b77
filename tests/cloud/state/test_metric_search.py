"""SEARCH: which metrics an expression finds, and what is refused."""

from __future__ import annotations

import pytest

from fogbank.cloud.state.metric_search import SearchError, read_search
from fogbank.cloud.state.metric_store import Metric

DOGS = Metric.of("AWS/SageMaker", "Invocations", {"EndpointName": "dogs", "VariantName": "A"})
ERRORS = Metric.of(
    "AWS/SageMaker", "Invocation5XXErrors", {"EndpointName": "dogs", "VariantName": "A"}
)
CATS = Metric.of("AWS/SageMaker", "Invocations", {"EndpointName": "cats", "VariantName": "B"})
TOTAL = Metric.of("AWS/SageMaker", "Invocations", {"EndpointName": "dogs"})
OTHER = Metric.of("Custom Name", "Invocations", {"EndpointName": "dogs"})
EVERY = (DOGS, ERRORS, CATS, TOTAL, OTHER)


@pytest.mark.docs
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{AWS/SageMaker,EndpointName,VariantName} MetricName="Invocations"', [DOGS, CATS]),
        ("{AWS/SageMaker, VariantName, EndpointName}", [DOGS, ERRORS, CATS]),
        ("{AWS/SageMaker,EndpointName}", [TOTAL]),
        ('{"Custom Name",EndpointName}', [OTHER]),
        ('MetricName="Invocations" EndpointName=dogs', [DOGS, TOTAL, OTHER]),
        ('MetricName="Invocations" AND VariantName="B"', [CATS]),
        ("MetricName=invocation dogs VariantName", [DOGS, ERRORS]),
        ('MetricName="invocations"', []),
        ("5xx", [ERRORS]),
        ('"dogs" Namespace="Custom Name"', [OTHER]),
        ('Nowhere="x"', []),
    ],
)
def test_what_is_found(text: str, found: list[Metric]) -> None:
    search = read_search(f"SEARCH('{text}', 'Sum', 60)")
    assert [metric for metric in EVERY if search.finds(metric)] == found
    assert (search.statistic_name, search.period_s) == ("Sum", 60)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("SEARCH()", "form"),
        ("SEARCH('dogs')", "form"),
        ("SEARCH('dogs', 'Sum', 60) * 2", "form"),
        ("SEARCH('', 'Sum', 60)", "nothing"),
        ("SEARCH('dogs OR cats', 'Sum', 60)", "OR"),
        ("SEARCH('dogs NOT cats', 'Sum', 60)", "NOT"),
        ("SEARCH('(dogs cats)', 'Sum', 60)", "does not understand"),
        ("SEARCH('a==b', 'Sum', 60)", "does not understand"),
    ],
)
def test_what_is_refused(expression: str, words: str) -> None:
    with pytest.raises(SearchError, match=words):
        read_search(expression)
