"""Pages of lists: what the services' own pagings are made of.

In: all items, and the token that a client sent back. Out: the items of a page, and the token of the
next one. What a token holds is nobody's business but ours: clients give it back as it is.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class BadToken(ValueError):
    """No token of ours. Each service has its own words for it."""


def token(content: object) -> str:
    """The text of a token that holds `content`, which is JSON."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def content_of(text: str) -> object:
    """What `token` was given; None for a text that no `token` made."""
    try:
        return json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return None


def page_by_key(
    items: Iterable[Item], key: Callable[[Item], str], given: str | None, size: int
) -> tuple[list[Item], str | None]:
    """At most `size` items in the order of `key`, which tells them apart, and the next token.

    What is made or deleted between two pages neither doubles nor hides the rest. Raises BadToken.
    """
    ordered = sorted(items, key=key)
    if given is not None:
        match content_of(given):
            case str(last):
                ordered = [item for item in ordered if key(item) > last]
            case _:
                raise BadToken(given)
    shown = ordered[:size]
    return shown, token(key(shown[-1])) if len(shown) < len(ordered) else None


def page_by_place(
    items: Sequence[Item], given: str | None, size: int
) -> tuple[Sequence[Item], str | None]:
    """At most `size` items from where the last page ended, and the next token. What is made or
    deleted between two pages shifts the rest. Raises BadToken."""
    begin = 0
    if given is not None:
        match content_of(given):
            case int(begin) if begin >= 0:
                pass
            case _:
                raise BadToken(given)
    end = begin + size
    return items[begin:end], token(end) if end < len(items) else None
