"""Command-line arguments, as SageMaker passes hyperparameters, into a `TrainingConfig`.

SageMaker turns {"batch_size": "32"} into `--batch_size 32`; some versions of its SDK leave JSON
quotes around the value. Names that are not ours are ignored with a note: SDKs add their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from fogbank.vision.errors import SettingError
from fogbank.vision.train.config import FIELD_NAMES, TrainingConfig

_SWITCHES = ("fine_tune", "flip")

_FOLDERS = ("data", "model_dir", "output_data_dir", "checkpoint_dir")
_OPTIONAL = ("hidden", "image_size", "weights", *_FOLDERS)

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")
_NONE = ("", "none", "null")


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("neither true nor false")


_READ: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("epochs", "batch_size", "patience", "fine_tune_epochs", "seed"), int),
    **dict.fromkeys(("hidden", "image_size"), int),
    **dict.fromkeys(("lr", "weight_decay", "label_smoothing", "dropout"), float),
    **dict.fromkeys(("fine_tune_lr", "max_broken"), float),
    **dict.fromkeys(("backbone", "features"), str),
    **dict.fromkeys(("weights", *_FOLDERS), Path),
    **dict.fromkeys(_SWITCHES, _boolean),
}

assert set(_READ) == set(FIELD_NAMES), "a hyperparameter without a reader, or the reverse"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What the command line said."""

    config: TrainingConfig
    notes: tuple[str, ...]
    """Arguments that were ignored, one sentence each."""


def parse(argv: Sequence[str]) -> Arguments:
    """Read `--name value`, `--name=value` and bare switches.

    Raises:
        SettingError: a value cannot be read or cannot work, or a value has no name.
    """
    values: dict[str, object] = {}
    notes: list[str] = []
    for raw_name, raw_value in _pairs(argv):
        name = raw_name.replace("-", "_")
        if name not in _READ:
            close = get_close_matches(name, FIELD_NAMES, n=1)
            hint = f"; did you mean --{close[0].replace('_', '-')}?" if close else ""
            notes.append(f"ignored unknown argument --{raw_name}{hint}")
            continue
        values[name] = _value(name, raw_value)
    return Arguments(config=TrainingConfig(**values), notes=tuple(notes))  # type: ignore[arg-type]


def _pairs(argv: Sequence[str]) -> list[tuple[str, str | None]]:
    pairs: list[tuple[str, str | None]] = []
    rest = list(argv)
    while rest:
        token = rest.pop(0)
        if not token.startswith("-") or token in ("-", "--"):
            raise SettingError(f"argument {token!r} has no name: write --name value")
        name, equals, value = token.lstrip("-").partition("=")
        if equals:
            pairs.append((name, value))
        elif rest and not rest[0].startswith("--"):
            pairs.append((name, rest.pop(0)))
        else:
            pairs.append((name, None))
    return pairs


def _value(name: str, text: str | None) -> object:
    if text is None:
        if name in _SWITCHES:
            return True
        raise SettingError(f"{name}: the value is missing")
    text = _unquoted(text)
    if name in _OPTIONAL and text.lower() in _NONE:
        return None
    try:
        return _READ[name](text)
    except ValueError as error:
        wanted = {int: "a whole number", float: "a number", _boolean: "true or false"}
        raise SettingError(f"{name}: {text!r} is not {wanted[_READ[name]]}") from error


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        value = json.loads(text)
        return value if isinstance(value, str) else text
    return text
