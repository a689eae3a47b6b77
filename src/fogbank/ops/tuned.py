"""`tuned.yaml`: the best hyperparameters that a tuning job found, kept in the project.

Comes in: a search, or the file. Goes out: the file, or which values training uses and why. The
file is the person's to read, commit (whoever checks the project out trains with the same values,
in every account) and delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator

from fogbank.core.errors import WorldError
from fogbank.ops.search import Search, shown_value
from fogbank.ops.spec import Spec
from fogbank.ops.spec_file import read_yaml
from fogbank.ops.spec_section import Section, plain_text
from fogbank.ops.spec_tune import Number, Objective

FILE_NAME = "tuned.yaml"

_HEAD = """\
# The best hyperparameters that `fogbank tune` has found. Training uses them in place of those in
# fogbank.yaml, as long as they lie in its tune.ranges. Commit this file, or delete it to train with
# fogbank.yaml's own values again.
"""


class Tuned(Section):
    """The file's contents."""

    tuning_job: str
    training_job: str
    """The best trial; `fogbank deploy --job` serves its very model."""
    objective: Objective
    value: Number
    """Of the objective."""
    hyperparameters: dict[str, Annotated[str, BeforeValidator(plain_text)]]


def tuned_of(search: Search) -> Tuned | None:
    """What is worth keeping of a search; None where no trial has an objective."""
    best = search.best
    if best is None:
        return None
    assert best.objective is not None, "that is what it is the best of"
    return Tuned(
        tuning_job=search.name,
        training_job=best.name,
        objective=Objective.model_validate({search.goal.lower(): search.metric}),
        value=best.objective,
        hyperparameters=dict(best.hyperparameters),
    )


def read_tuned(folder: Path) -> Tuned | None:
    """The project's tuned.yaml; None where there is none. Raises InputError where it is wrong."""
    try:
        return read_yaml(folder / FILE_NAME, Tuned)
    except FileNotFoundError:
        return None


def write_tuned(folder: Path, tuned: Tuned) -> None:
    """Write the file, unless it says the same already.

    Raises WorldError where it cannot be written.
    """
    path = folder / FILE_NAME
    text = render(tuned)
    try:
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WorldError(f"{path} cannot be written: {error}") from error


def render(tuned: Tuned) -> str:
    """The file's text."""
    lines = [
        f"tuning_job: {_text(tuned.tuning_job)}",
        f"training_job: {_text(tuned.training_job)}",
        f"objective: {{{tuned.objective.goal.lower()}: {_quoted(tuned.objective.metric)}}}",
        f"value: {tuned.value!r}",
        "hyperparameters:" if tuned.hyperparameters else "hyperparameters: {}",
        *(f"  {_text(name)}: {_value(v)}" for name, v in tuned.hyperparameters.items()),
    ]
    return _HEAD + "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """As YAML: plain where it is read back as text, quoted elsewhere ("on", "3")."""
    return text if _read(text) == text else _quoted(text)


def _value(text: str) -> str:
    """As YAML: plain where a number is read back as it is written (0.01), quoted elsewhere
    ("0.10", which would become 0.1)."""
    return text if plain_text(_read(text)) == text else _quoted(text)


def _read(text: str) -> Any:
    try:
        return None if "\n" in text else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return None


def _quoted(text: str) -> str:
    dumped: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=2**31)
    return dumped.rstrip("\n")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The hyperparameters that training gets, and where they come from."""

    values: Mapping[str, str]
    """All of them."""
    tuned: Mapping[str, str]
    """Those of them that come from tuned.yaml."""
    unused: Mapping[str, str]
    """Hyperparameters of tuned.yaml that are not used -> why."""

    def origin(self) -> str:
        """ "lr 0.01, batch_size 32 from tuned.yaml"; empty where nothing comes from there."""
        if not self.tuned:
            return ""
        values = ", ".join(f"{name} {shown_value(value)}" for name, value in self.tuned.items())
        return f"{values} from {FILE_NAME}"

    def to_json(self) -> dict[str, Any]:
        return {
            name: {"value": value, "from": FILE_NAME if name in self.tuned else "fogbank.yaml"}
            for name, value in self.values.items()
        }


def choose(spec: Spec, tuned: Tuned | None) -> Choice:
    """A hyperparameter that has a range in `tune.ranges` takes its value from tuned.yaml, where
    that lies in the range; all others are fogbank.yaml's."""
    given = spec.train.hyperparameters
    if tuned is None:
        return Choice(values=given, tuned={}, unused={})
    ranges = spec.tune.ranges if spec.tune else {}
    used: dict[str, str] = {}
    unused: dict[str, str] = {}
    for name, value in tuned.hyperparameters.items():
        if name not in ranges:
            unused[name] = "fogbank.yaml has no range for it"
        elif not ranges[name].has(value):
            unused[name] = f"{value} is outside its range in fogbank.yaml"
        else:
            used[name] = value
    return Choice(values={**given, **used}, tuned=used, unused=unused)
