"""How values become text for the user's script: as arguments and as environment variables.

Both are the training toolkit's rules, kept to the letter: scripts that run on AWS parse exactly
this (`--flag True`, `--layers [1, 2]`). Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping


def to_arguments(hyperparameters: Mapping[str, object]) -> list[str]:
    """Hyperparameters as command-line arguments, sorted by name.

    `--name value`, or `-n value` for a name of one letter. A value is its Python text (True, None
    as an empty string, [1, 2]); a mapping is `key=value,key=value` sorted by key.
    """
    arguments: list[str] = []
    for name in sorted(hyperparameters):
        dashes = "" if not name else "-" if len(name) == 1 else "--"
        arguments += [dashes + name, _argument(hyperparameters[name])]
    return arguments


def _argument(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={value[key]}" for key in sorted(value))
    return str(value)


def to_variables(values: Mapping[str, object]) -> dict[str, str]:
    """Values as environment variables: `SM_` and the name in capitals.

    Text stays as it is, None is empty, everything else is compact JSON with sorted keys.
    """
    return {f"SM_{name.upper()}": _variable(value) for name, value in values.items()}


def _variable(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
