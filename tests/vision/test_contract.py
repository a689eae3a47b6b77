"""Folders from the environment; metric lines and the expressions that find them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.vision.contract import METRIC_DEFINITIONS, job_folders, metric_line
from fogbank.vision.errors import SettingError


@pytest.mark.docs
def test_folders_come_from_the_environment(tmp_path: Path) -> None:
    folders = job_folders(
        {
            "SM_MODEL_DIR": "/m",
            "SM_OUTPUT_DATA_DIR": "/o",
            "SM_CHANNEL_TRAIN": "/t",
            "SM_CHANNEL_VALIDATION": "/v",
            "SM_HOSTS": '["algo-1", "algo-2"]',
            "SM_CHECKPOINT_DIR": str(tmp_path),
        }
    )
    assert (folders.model, folders.output_data) == (Path("/m"), Path("/o"))
    assert folders.channels == {"train": Path("/t"), "validation": Path("/v")}
    assert folders.num_hosts == 2
    assert folders.checkpoints == tmp_path


@pytest.mark.docs
def test_without_variables_the_documented_folders_hold() -> None:
    folders = job_folders({"SAGEMAKER_BASE_DIR": "/nowhere"})
    assert folders.model == Path("/nowhere/model")
    assert folders.output_data == Path("/nowhere/output/data")
    assert folders.channels == {}
    assert folders.checkpoints is None
    assert folders.num_hosts == 1
    assert job_folders({}).model == Path("/opt/ml/model")


@pytest.mark.docs
def test_channels_without_variables_are_the_input_folders(tmp_path: Path) -> None:
    (tmp_path / "input" / "data" / "training").mkdir(parents=True)
    (tmp_path / "checkpoints").mkdir()
    folders = job_folders({"SAGEMAKER_BASE_DIR": str(tmp_path)})
    assert folders.channels == {"training": tmp_path / "input" / "data" / "training"}
    assert folders.checkpoints == tmp_path / "checkpoints"


@pytest.mark.parametrize("hosts", ["algo-1", "{}", "[]"])
def test_foreign_host_lists_are_refused(hosts: str) -> None:
    with pytest.raises(SettingError, match="SM_HOSTS"):
        job_folders({"SM_HOSTS": hosts})


@given(
    values=st.fixed_dictionaries(
        {definition["Name"]: st.floats(0, 1e6) for definition in METRIC_DEFINITIONS}
    )
)
def test_every_metric_is_found_in_its_line(values: dict[str, float]) -> None:
    line = metric_line(epoch=3, **values)
    for definition in METRIC_DEFINITIONS:
        found = re.findall(definition["Regex"], line)
        assert found == [f"{values[definition['Name']]:.4f}"]
