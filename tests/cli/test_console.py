"""What is written where no terminal is."""

from __future__ import annotations

import pytest
from rich.table import Table

from fogbank.cli.console import print_table


def test_a_table_in_a_pipe_is_as_wide_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(box=None, pad_edge=False)
    for number in range(40):
        table.add_column(f"hyperparameter_{number}")
    table.add_row(*(f"{number / 7}" for number in range(40)))
    print_table(table)
    headings, values = capsys.readouterr().out.splitlines()
    assert headings.split() == [f"hyperparameter_{number}" for number in range(40)]
    assert values.split() == [f"{number / 7}" for number in range(40)]
