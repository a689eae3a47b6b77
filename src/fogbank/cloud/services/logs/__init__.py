"""CloudWatch Logs: groups, streams, and lines in and out."""
