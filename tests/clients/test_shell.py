"""What the variables of `fogbank env` do for the SDKs by themselves."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from clients.conftest import FOGBANK, HERE, client_python
from clients.test_sdk_v2 import BUCKET
from fogbank.testing.cloud import RunningCloud


@pytest.mark.observed
@pytest.mark.slow
@pytest.mark.parametrize("name", ["sdk-v2", "sdk-v3"])
def test_the_default_bucket(name: str, cloud: RunningCloud, tmp_path: Path) -> None:
    python = client_python(name)
    printed = subprocess.check_output(
        [FOGBANK, "env", "--json", "--home", cloud.home], text=True, env={"HOME": str(tmp_path)}
    )
    ended = subprocess.run(
        [python, HERE / "programs" / "default_bucket.py", name],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **json.loads(printed)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told == {"outside": [], "bucket": BUCKET, "again": BUCKET}
    cloud.client("s3").head_bucket(Bucket=BUCKET)
