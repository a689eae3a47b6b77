"""Where things are kept: SQLite for records, metrics and the trail; files for objects and logs."""
