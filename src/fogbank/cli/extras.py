"""What takes packages that a light installation lacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fogbank.core.errors import InputError


@contextmanager
def needing_vision(what: str) -> Iterator[None]:
    """Around imports of `fogbank.vision`. what: that which needs it, "the sample".

    Raises InputError where one of its packages is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"{what} needs the workload's packages ({error.name} is missing): "
            "pip install 'fogbank[vision]'"
        ) from error
