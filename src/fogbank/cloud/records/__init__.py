"""Frozen dataclasses of what exists. One file a kind; each says its `kind` and its `key`."""
