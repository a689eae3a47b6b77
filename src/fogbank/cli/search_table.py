"""A tuning job for people: the table of its trials, and a line for each."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from fogbank.cli.console import printable
from fogbank.ops.search import Search, Trial, shown_number, shown_value

_STYLES = {"Completed": "green", "Failed": "red", "Stopped": "yellow"}


def search_table(search: Search, *, max_rows: int | None = None) -> Table:
    """Every trial, or the last `max_rows` of them and how many there are before; the best one is
    marked."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    for axis in search.axes:
        table.add_column(printable(axis.name), justify="left" if axis.values else "right")
    table.add_column(printable(search.metric), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    num_hidden = 0 if max_rows is None else max(0, len(search.trials) - max(max_rows, 1))
    if num_hidden:
        table.add_row(Text("⋮", style="dim"), Text(f"{num_hidden} more", style="dim"))
    for trial in search.trials[num_hidden:]:
        table.add_row(*_cells(search, trial))
    return table


def _cells(search: Search, trial: Trial) -> list[Text]:
    is_best = search.best is trial
    return [
        Text(str(trial.number)),
        Text(trial.status, style=_STYLES.get(trial.status, "")),
        Text("" if trial.seconds is None else f"{trial.seconds:.0f} s", style="dim"),
        *(
            Text(printable(shown_value(trial.hyperparameters.get(axis.name, ""))))
            for axis in search.axes
        ),
        Text(
            "" if trial.objective is None else shown_number(trial.objective),
            style="bold green" if is_best else "",
        ),
        Text("★ best" if is_best else "", style="green"),
    ]


def trial_line(search: Search, trial: Trial) -> str:
    """What became of a trial, in one line."""
    values = shown_values(trial)
    if trial.objective is None:
        why = trial.short_reason
        found = f": {why}" if why else f", no value of {search.metric}"
    else:
        is_best = search.best is trial
        found = f", {search.metric} {shown_number(trial.objective)}"
        found += " (the best so far)" if is_best else ""
    return printable(f"trial {trial.number}: {trial.status}, {values}{found}")


def shown_values(trial: Trial) -> str:
    """ "lr 0.003, batch_size 32"."""
    return ", ".join(f"{name} {shown_value(v)}" for name, v in trial.hyperparameters.items())


def counters_text(search: Search) -> str:
    """ "2 Completed, 1 InProgress of 6; best valid_loss 0.19 in trial 2"."""
    counted = ", ".join(f"{number} {status}" for status, number in search.counters().items())
    text = f"{search.status}, trials: {counted or 'none yet'}"
    if search.max_trials is not None:
        text += f" of {search.max_trials}"
    best = search.best
    if best is not None and best.objective is not None:
        text += f"; best {search.metric} {shown_number(best.objective)} in trial {best.number}"
    return printable(text)
