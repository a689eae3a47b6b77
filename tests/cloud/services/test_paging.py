"""Pages of lists: every item once, whatever the size, and no token but ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.services.paging import BadToken, page_by_key, page_by_place, token

Page = Callable[[list[str], str | None, int], tuple[list[str], str | None]]


def by_key(items: list[str], given: str | None, size: int) -> tuple[list[str], str | None]:
    return page_by_key(items, str, given, size)


def by_place(items: list[str], given: str | None, size: int) -> tuple[list[str], str | None]:
    shown, more = page_by_place(items, given, size)
    return list(shown), more


@pytest.mark.parametrize("page", [by_key, by_place])
@given(items=st.lists(st.text(max_size=3), unique=True, max_size=12), size=st.integers(1, 5))
def test_pages_together_are_the_list(page: Page, items: list[str], size: int) -> None:
    items.sort()
    found: list[str] = []
    more: str | None = None
    while True:
        shown, more = page(items, more, size)
        assert len(shown) == size or more is None
        found += shown
        if more is None:
            break
    assert found == items


@given(names=st.sets(st.text(max_size=3), max_size=8), gone=st.sets(st.text(max_size=3)))
def test_what_changes_between_two_pages_by_key_hides_nothing(
    names: set[str], gone: set[str]
) -> None:
    first, more = page_by_key(names, str, None, 2)
    if more is not None:
        rest, _ = page_by_key(names - gone | {""}, str, more, 100)
        assert set(rest) == names - gone - set(first) - {""}


@pytest.mark.parametrize("page", [by_key, by_place])
@pytest.mark.parametrize("text", ["", "nonsense", "AAAA", "\ud800", token([1]), token(-1)])
def test_other_tokens_are_refused(page: Page, text: str) -> None:
    with pytest.raises(BadToken):
        page(["a"], text, 1)
