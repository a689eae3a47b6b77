from __future__ import annotations

import pytest

from cloud.services.sagemaker.control_plane import ControlPlane


@pytest.fixture
def plane() -> ControlPlane:
    return ControlPlane()
