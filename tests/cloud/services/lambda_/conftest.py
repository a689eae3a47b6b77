from __future__ import annotations

from pathlib import Path

import pytest

from cloud.services.lambda_.lambda_plane import LambdaPlane


@pytest.fixture
def plane(tmp_path: Path) -> LambdaPlane:
    return LambdaPlane(tmp_path)
