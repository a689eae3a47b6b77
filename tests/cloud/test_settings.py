"""Settings of the cloud's process that are not what they should be."""

from __future__ import annotations

import pytest

from fogbank.cloud.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--time-scale", "0.5"], "FOGBANK_TIME_SCALE"),
        (["--time-scale", "fast"], "FOGBANK_TIME_SCALE"),
        (["--endpoint-instances", "m5.large=4"], "FOGBANK_ENDPOINT_INSTANCES"),
        (["--endpoint-capacity", "*=few"], "FOGBANK_ENDPOINT_CAPACITY"),
        (["--instance-start-s", "-1"], "FOGBANK_INSTANCE_START_S"),
        (["--instance-start-s", "nan"], "FOGBANK_INSTANCE_START_S"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert words in capsys.readouterr().err
