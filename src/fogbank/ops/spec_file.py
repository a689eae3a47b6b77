"""`fogbank.yaml` -> Spec. Reads one file; other YAML files of a project are read alike.

All mistakes are reported at once, each with file, line and key, and with the nearest valid key
where one was mistyped.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from fogbank.core.errors import InputError
from fogbank.ops import spec_section
from fogbank.ops.spec import Spec
from fogbank.ops.spec_section import Section

FILE_NAME = "fogbank.yaml"

S = TypeVar("S", bound=Section)

Key = tuple[str | int, ...]
"""Where in the document: ("train", "instance_type"); list positions count from 0."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong. line counts from 1; key "" stands for the whole document."""

    line: int
    key: str
    message: str


class SpecError(InputError):
    """The file is not what it should be. `mistakes` has all that is wrong, in the order of the
    file."""

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.line)
        super().__init__(
            "\n".join(
                f"{path}:{mistake.line}: {mistake.key + ': ' if mistake.key else ''}"
                f"{mistake.message}"
                for mistake in self.mistakes
            )
        )


def read_spec(path: Path) -> Spec:
    """Read and check the file.

    Raises InputError where there is none, SpecError where it is wrong.
    """
    try:
        return read_yaml(path, Spec)
    except FileNotFoundError:
        raise InputError(
            f"{path} does not exist. Go to a project's folder or name it with --project-dir; "
            "`fogbank init` makes a new project."
        ) from None


def read_yaml(path: Path, section: type[S]) -> S:
    """Read a file whose whole document is that section, and check it.

    Raises FileNotFoundError where there is none, InputError where it cannot be read, SpecError
    where it is wrong.
    """
    return parse_yaml(read_text(path), path, section)


def read_text(path: Path) -> str:
    """Raises FileNotFoundError where there is none, InputError where it cannot be read."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def parse_yaml(text: str, path: Path, section: type[S]) -> S:
    """Check a text. path: what a mistake is said to be in. Raises SpecError."""
    document, lines, mistakes = _load(path, text, section)
    if mistakes:
        raise SpecError(path, mistakes)
    try:
        return section.model_validate(document)
    except ValidationError as error:
        raise SpecError(path, list(_mistakes(error, lines, section))) from error


def _load(
    path: Path, text: str, section: type[Section]
) -> tuple[Any, Mapping[Key, int], list[Mistake]]:
    """The document, the line of every key, and keys that occur twice."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            needed = [key for key, field in section.model_fields.items() if field.is_required()]
            message = f"the file is empty; it needs {', '.join(needed)}"
            raise SpecError(path, [Mistake(1, "", message)])
        lines: dict[Key, int] = {(): node.start_mark.line + 1}
        mistakes = list(_walk(node, (), lines))
        return loader.construct_document(node), lines, mistakes
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise SpecError(path, [Mistake(line, "", f"is not YAML: {error.problem}")]) from error
    except yaml.YAMLError as error:
        raise SpecError(path, [Mistake(1, "", f"is not YAML: {error}")]) from error
    finally:
        loader.dispose()


def _walk(node: yaml.Node, key: Key, lines: dict[Key, int]) -> Iterator[Mistake]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            here = (*key, str(name.value))
            line = name.start_mark.line + 1
            if here in lines:
                yield Mistake(line, _dotted(here), f"is given twice (first in line {lines[here]})")
            lines[here] = line
            yield from _walk(value, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*key, index)] = value.start_mark.line + 1
            yield from _walk(value, (*key, index), lines)


def _mistakes(
    error: ValidationError, lines: Mapping[Key, int], section: type[Section]
) -> Iterator[Mistake]:
    for detail in error.errors(include_url=False):
        key: Key = tuple(part for part in detail["loc"] if part != "[key]")
        yield Mistake(_line(key, lines), _dotted(key), _message(detail, key, section))


def _message(detail: Mapping[str, Any], key: Key, section: type[Section]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            valid = _fields_at(key[:-1], section)
            close = difflib.get_close_matches(str(key[-1]), valid, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"valid are {', '.join(valid)}"
            return f"unknown key; {hint}"
        case "missing":
            return "is missing"
        case "model_type" | "dict_type":
            return f"must be a section of keys, not {_shown(detail['input'])}"
        case "string_pattern_mismatch":
            return f"{_shown(detail['input'])} does not have the form {_form(key, detail)}"
        case spec_section.MISTAKE:
            return str(detail["msg"])
        case "value_error":
            return f"{_shown(detail['input'])} {detail['ctx']['error']}"
        case "int_type" | "int_parsing" | "int_from_float":
            return f"must be a whole number, not {_shown(detail['input'])}"
        case "string_type":
            return f"must be text, not {_shown(detail['input'])}"
        case _:
            words = str(detail["msg"]).replace("Input should be", "must be")
            return f"{words}, not {_shown(detail['input'])}"


def _form(key: Key, detail: Mapping[str, Any]) -> str:
    forms = {
        "project": "of 1 to 27 lower-case letters, digits and hyphens, such as dog-breeds",
    }
    return forms.get(str(key[-1]), str(detail["ctx"]["pattern"]))


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(key: Key, section: type[Section]) -> list[str]:
    """The valid keys of the section at `key` of the document."""
    model: Any = section
    for part in key:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        annotation = field.annotation if field is not None else model
        model = section_in(annotation)
    return list(model.model_fields)


def section_in(annotation: Any) -> Any:
    """The model that an annotation holds: itself, or the one inside tuple[...] and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(
        (found for argument in get_args(annotation) if (found := section_in(argument))), None
    )


def _line(key: Key, lines: Mapping[Key, int]) -> int:
    """The line of the key, or of the nearest section around it."""
    while key not in lines:
        key = key[:-1]
    return lines[key]


def _dotted(key: Key) -> str:
    """train.metrics[2].regex"""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
