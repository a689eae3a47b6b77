"""CloudWatch metrics: measurements in, statistics by period out."""
