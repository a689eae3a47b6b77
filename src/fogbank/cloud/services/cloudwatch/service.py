"""The rooms of CloudWatch, put together."""

from __future__ import annotations

from fogbank.cloud.ports import Records
from fogbank.cloud.services.cloudwatch.alarm_listing import AlarmListing
from fogbank.cloud.services.cloudwatch.alarms import Alarms
from fogbank.cloud.services.cloudwatch.listing import Listing
from fogbank.cloud.services.cloudwatch.publish import Publish
from fogbank.cloud.services.cloudwatch.query import Queries
from fogbank.cloud.services.cloudwatch.tags import AlarmTags
from fogbank.cloud.services.cloudwatch.widget_image import WidgetImages
from fogbank.cloud.state.metric_store import MetricStore
from fogbank.core.arn import Scope


def rooms(store: MetricStore, records: Records, scope: Scope) -> tuple[object, ...]:
    """Everything that `base.dispatch_table` needs."""
    return (
        Listing(store),
        Publish(store),
        Queries(store),
        WidgetImages(store),
        Alarms(records, scope),
        AlarmListing(records),
        AlarmTags(records),
    )
