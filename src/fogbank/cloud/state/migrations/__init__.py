"""The history of the databases, a folder each: `NNNN_name.sql`, applied once each, in order, never
edited. `records` is what must never be lost, `telemetry` metrics and the trail."""
