"""Shipped to users: a running cloud for tests, and a clock that a test moves by hand."""
