"""Writes docs/demo.svg: a terminal record of `fogbank up` on the sample, as it really ran.

Needs a cloud folder of its own (made and removed here) and takes about a minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "demo.svg"
FOGBANK = Path(sys.executable).with_name("fogbank")
WIDTH = 108
SPINNER = tuple("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
LOG = "  │ "


def shortened(lines: list[str]) -> list[str]:
    """Without the frames of live lines, and of the epochs only the first and the last ones."""
    plain = [(line, Text.from_ansi(line).plain) for line in lines]
    kept = [(line, text) for line, text in plain if not text.startswith(SPINNER)]
    epochs = [text for _, text in kept if text.startswith(LOG + "epoch=")]
    dropped = {*epochs[3:-2], *(text for _, text in kept if text.startswith(LOG + "features of"))}
    return (
        [
            line if text != epochs[3] else LOG + "..."
            for line, text in kept
            if text not in dropped or text == epochs[3]
        ]
        if len(epochs) > 5
        else [line for line, _ in kept]
    )


def main() -> int:
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory(prefix="fogbank-") as folder:
        environment = {
            **os.environ,
            "FOGBANK_HOME": f"{folder}/cloud",
            "FOGBANK_PORT": "0",
            "COLUMNS": str(WIDTH),
            "FORCE_COLOR": "1",
        }
        for command in (["init", "digits", "--sample", "digits"], ["up"]):
            where = folder if command[0] == "init" else f"{folder}/digits"
            done = subprocess.run(
                [FOGBANK, *command],
                env=environment,
                cwd=where,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=True,
            )
            console.print(f"[bold]$ fogbank {' '.join(command)}")
            lines = shortened(done.stdout.replace(folder, "~").splitlines())
            for line in lines:
                console.print(Text.from_ansi(line))
        subprocess.run([FOGBANK, "cloud", "stop"], env=environment, check=True)
    console.save_svg(str(PICTURE), title="fogbank")
    return 0


if __name__ == "__main__":
    sys.exit(main())
