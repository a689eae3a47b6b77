"""Opaque tokens for the next page."""

from __future__ import annotations

import base64
import binascii
import json


def token(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def content_of(text: str) -> object:
    """What `token` was given; None for a text that no `token` made."""
    try:
        return json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return None
