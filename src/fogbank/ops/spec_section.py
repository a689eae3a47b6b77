"""What all sections of the project's YAML files are made of. Pure."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


class Section(BaseModel):
    """Keys with values: unknown keys are mistakes, numbers are not read from text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _relative(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError("must be inside the project's folder")
    return path


def _script(path: str) -> str:
    if not path.endswith(".py"):
        raise ValueError("must be a Python file (.py)")
    return _relative(path)


RelativePath = Annotated[str, AfterValidator(_relative), StringConstraints(min_length=1)]
Script = Annotated[str, AfterValidator(_script)]


MISTAKE = "mistake"
"""Type of the errors that `mistake` makes: their message is a whole sentence about the key."""


def mistake(message: str, *key: str, value: object = None) -> ValidationError:
    """An error about a key inside the section that a validator looks at: raised there, it is
    reported with that key's line."""
    # The message is no template: braces in it stand for themselves.
    error = PydanticCustomError(MISTAKE, "{message}", {"message": message})
    return ValidationError.from_exception_data(
        "section", [InitErrorDetails(type=error, loc=key, input=value)]
    )


def as_tuple(value: Any) -> Any:
    """A list of YAML as sections keep it: they cannot be changed."""
    return tuple(value) if isinstance(value, list) else value


def plain_text(value: Any) -> Any:
    """A plain value of YAML as a script sees it: true, 3 and 0.5 become text, all else stays."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def hyperparameter_name(name: str) -> str:
    """Raises ValueError for a name that SageMaker uses itself."""
    if name.startswith("sagemaker_"):
        raise ValueError("names that begin with sagemaker_ belong to the training toolkit")
    if name == "_tuning_objective_metric":
        raise ValueError("belongs to tuning jobs: it names their objective")
    return name
