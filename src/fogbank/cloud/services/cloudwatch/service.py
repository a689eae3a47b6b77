"""The rooms of CloudWatch, put together."""

from __future__ import annotations

from fogbank.cloud.services.cloudwatch.listing import Listing
from fogbank.cloud.services.cloudwatch.publish import Publish
from fogbank.cloud.services.cloudwatch.query import Queries
from fogbank.cloud.state.metric_store import MetricStore


def rooms(store: MetricStore) -> tuple[object, ...]:
    """Everything that `base.dispatch_table` needs."""
    return (Listing(store), Publish(store), Queries(store))
