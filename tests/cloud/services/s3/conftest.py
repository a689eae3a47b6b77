from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud.services.s3.s3_calls import S3


@pytest.fixture
async def s3(tmp_path: Path) -> AsyncIterator[S3]:
    """An S3 with an empty bucket `dogs`."""
    opened = S3(tmp_path)
    await opened("CreateBucket", Bucket="dogs")
    yield opened
    opened.close()
