"""What a light installation is told."""

from __future__ import annotations

import pytest

from fogbank.cli.extras import needing_vision
from fogbank.core.errors import InputError


def test_a_package_that_is_missing_is_named_with_what_installs_it() -> None:
    with (
        pytest.raises(InputError, match=r"the sample .*torch is missing.*fogbank\[vision\]"),
        needing_vision("the sample"),
    ):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ImportError, match="circular"), needing_vision("the sample"):
        raise ImportError("circular")
