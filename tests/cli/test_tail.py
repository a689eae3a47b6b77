"""Following a log file."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from fogbank.cli.tail import tail
from fogbank.core.errors import InputError


def never(seconds: float) -> None:
    raise AssertionError("waited")


def test_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\nc\n")
    assert list(tail(path, 2, follow=False, pause=never)) == ["b", "c"]
    assert list(tail(path, 0, follow=False, pause=never)) == []


def test_what_is_written_later_and_after_a_new_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\n")
    contents = iter(["a\nb\nc\n", "d\n"])

    def pause(seconds: float) -> None:
        path.write_text(next(contents))

    assert list(islice(tail(path, 1, follow=True, pause=pause), 3)) == ["b", "c", "d"]


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cloud has been started"):
        list(tail(tmp_path / "log", 5, follow=True, pause=never))
