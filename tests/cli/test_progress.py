"""What is shown of a plan that is carried out."""

from __future__ import annotations

import io

from rich.console import Console

from fogbank.cli.progress import ShownProgress
from fogbank.ops.step import Step

STEP = Step(kind="data", verb="upload", name="n", message="upload [3] files", reason="3 new")


def shown(*, terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=60, markup=False)
    with ShownProgress(console) as progress:
        progress.begin(STEP)
        progress.status("Training")
        progress.status("Training")
        progress.advance(1, 3, "bytes")
        progress.log("10%\r\x1b]0;owned\x07\x1b[31mred\x1b[0m\x1b[2J\x9b [bold]" + "x" * 100)
        progress.end(STEP, 1.25)
    return stream.getvalue()


def test_plain_lines_where_there_is_no_terminal() -> None:
    lines = shown(terminal=False).splitlines()
    assert lines[0] == "→ upload [3] files (3 new)"
    assert lines[1] == "  Training"
    assert lines[-1] == "✓ upload [3] files  3 new, 1.2 s"
    assert "\x1b" not in "".join(lines)


def test_a_containers_output_cannot_command_the_terminal() -> None:
    text = shown(terminal=True)
    assert "owned" not in text
    for command in ("\x1b]", "\x1b[2J", "\x9b", "\x07", "10%"):
        assert command not in text
    assert "red [bold]xxx" in text
    assert "x" * 60 not in text
