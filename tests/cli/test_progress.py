"""What is shown of a plan that is carried out."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from fogbank.cli.console import printable
from fogbank.cli.progress import ShownProgress
from fogbank.ops.step import Step
from ops.test_search import search_of

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


def searched(*objectives: float | None, terminal: bool, height: int = 12) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=terminal, width=90, height=height, markup=False, highlight=False
    )
    step = Step(kind="tuning-job", verb="wait", name="n", message="wait", reason="why")
    with ShownProgress(console) as progress:
        progress.begin(step)
        for count in range(len(objectives) + 1):
            found = search_of(*objectives[:count])
            progress.search(replace(found, status="InProgress", max_trials=len(objectives)))
        progress.end(step, 1.0)
    return stream.getvalue()


def test_a_search_without_a_terminal_is_a_line_for_each_trial_that_has_ended() -> None:
    lines = searched(0.5, None, 0.25, 0.75, terminal=False).splitlines()
    assert lines[1:-1] == [
        "  trial 1: Completed, lr 0.001, size 32, loss 0.5 (the best so far)",
        "  trial 2: Failed, lr 0.002, size 32: AlgorithmError: it raised",
        "  trial 3: Completed, lr 0.003, size 32, loss 0.25 (the best so far)",
        "  trial 4: Completed, lr 0.004, size 32, loss 0.75",
    ]


def test_a_search_on_a_terminal_is_a_table_that_fits_into_it() -> None:
    text = printable(searched(*[1.0 / number for number in range(1, 21)], terminal=True))
    last = text[text.rindex("trial  status") :]
    assert "★ best" in last
    assert "14 more" in last
    assert "InProgress, trials: 20 Completed of 20; best loss 0.05 in trial 20" in last
    assert "★" not in text[: text.index("Completed")]
