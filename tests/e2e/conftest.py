"""One account on one cloud for all that does not kill it."""

from __future__ import annotations

import pytest

from e2e.account import Account
from fogbank.testing.cloud import RunningCloud


@pytest.fixture(scope="session")
def account(cloud: RunningCloud) -> Account:
    return Account(cloud, "end-to-end")
