"""The history of the databases: `NNNN_name.sql`, applied once each, in order, never edited."""
