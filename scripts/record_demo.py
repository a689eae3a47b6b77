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
KEPT_LINES = 46


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
            lines = done.stdout.replace(folder, "~").splitlines()
            if len(lines) > KEPT_LINES:
                half = KEPT_LINES // 2
                lines = [*lines[:half], "  ...", *lines[-half:]]
            for line in lines:
                console.print(Text.from_ansi(line))
        subprocess.run([FOGBANK, "cloud", "stop"], env=environment, check=True)
    console.save_svg(str(PICTURE), title="fogbank")
    return 0


if __name__ == "__main__":
    sys.exit(main())
