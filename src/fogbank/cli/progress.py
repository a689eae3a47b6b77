"""Shows what `ops.apply` does: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from fogbank.cli.console import printable
from fogbank.cli.search_table import counters_text, search_table, trial_line
from fogbank.ops.search import Search
from fogbank.ops.step import Step

_LINE = "  │ "


class _Live(Progress):
    """The live lines, and what is shown above them."""

    above: RenderableType | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.above is not None:
            yield self.above
        yield from super().get_renderables()


class ShownProgress:
    """An `ops.world.Progress` on a console. A context: the live line goes at its end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = _Live(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._lock = threading.Lock()
        self._task: TaskID | None = None
        self._message = ""
        self._status = ""
        self._told: set[int] = set()
        """Trials of the step's tuning job that a line was printed for."""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def begin(self, step: Step) -> None:
        with self._lock:
            self._message, self._status = step.message, ""
            self._told.clear()
            self._task = self._live.add_task(step.message, total=None)
        if not self._console.is_terminal:
            self._console.print(f"→ {step.message} ({step.reason})")

    def advance(self, done: int, total: int, unit: str) -> None:
        if self._task is not None:
            self._live.update(self._task, completed=done, total=total)

    def status(self, text: str) -> None:
        with self._lock:
            if text == self._status or self._task is None:
                return
            self._status = text
            self._live.update(self._task, description=f"{self._message}: {text}")
        if not self._console.is_terminal:
            self._console.print(f"  {text}")

    def search(self, found: Search) -> None:
        if self._console.is_terminal:
            # Headings, counters, the live line and a margin; the rest of the window is for rows.
            table = search_table(found, max_rows=self._console.height - 6)
            self._live.above = Group(table, Text(counters_text(found), style="dim"))
            if self._task is not None:
                ended = sum(trial.has_ended for trial in found.trials)
                self._live.update(self._task, completed=ended, total=found.max_trials)
            self._live.refresh()
            return
        for trial in found.trials:
            if trial.has_ended and trial.number not in self._told:
                self._told.add(trial.number)
                self._console.print(f"  {trial_line(found, trial)}")

    def log(self, line: str) -> None:
        # Of a bar that a script draws over itself, the last state.
        text = Text(_LINE + printable(line.rstrip("\r").rpartition("\r")[2]))
        if self._console.is_terminal:
            text.truncate(self._console.width, overflow="ellipsis")
        self._console.print(text, style="dim")

    def end(self, step: Step, seconds: float) -> None:
        with self._lock:
            self._live.above = None
            if self._task is not None:
                self._live.remove_task(self._task)
                self._task = None
        mark = Text("✓ ", style="green") + Text(step.message, style="default")
        mark.append(f"  {step.reason}, {seconds:.1f} s", style="dim")
        self._console.print(mark)
