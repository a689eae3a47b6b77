"""Shows what `ops.apply` does: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from fogbank.cli.console import printable
from fogbank.ops.step import Step

_LINE = "  │ "


class ShownProgress:
    """An `ops.world.Progress` on a console. A context: the live line goes at its end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Progress(
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

    def log(self, line: str) -> None:
        # Of a bar that a script draws over itself, the last state.
        text = Text(_LINE + printable(line.rstrip("\r").rpartition("\r")[2]))
        if self._console.is_terminal:
            text.truncate(self._console.width, overflow="ellipsis")
        self._console.print(text, style="dim")

    def end(self, step: Step, seconds: float) -> None:
        with self._lock:
            if self._task is not None:
                self._live.remove_task(self._task)
                self._task = None
        mark = Text("✓ ", style="green") + Text(step.message, style="default")
        mark.append(f"  {step.reason}, {seconds:.1f} s", style="dim")
        self._console.print(mark)
