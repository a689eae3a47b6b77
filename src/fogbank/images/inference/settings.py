"""What the environment says about how to serve. In: environment variables. Out: frozen Settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fogbank.images.errors import ContractError

_AWS_BASE = PurePosixPath("/opt/ml")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to serve one model."""

    model_dir: Path
    """The unpacked model.tar.gz."""
    code_dir: Path
    """The user's code: first on the module path, and where requirements.txt is looked for."""
    module_name: str
    """The module that holds the handler functions."""
    bind_host: str
    bind_port: int
    """0 lets the system choose; the log says which."""
    bind_fd: int | None
    """A listening socket that we inherited; then host and port do not count."""
    num_workers: int
    """Worker processes; each serves one request at a time."""
    invocation_timeout_s: float
    """A worker that takes longer for one request is killed and replaced."""
    default_accept: str
    """The Accept of a request that has none, or `*/*`."""
    log_level: int
    """For the user's logging, as in Python's logging module."""
    max_body_bytes: int
    """A larger request body is refused with 413."""
    max_waiting: int
    """Requests that may wait for a worker; one more is refused with 503. TorchServe in AWS's
    PyTorch images does so beyond its job_queue_size of 100 (observed: pytorch/serve #3361,
    aws/deep-learning-containers #4478)."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the variables of the inference toolkit and our own (FOGBANK_*).

    Raises ContractError naming the variable that is wrong.
    """
    base = Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    model_dir = base / "model"
    fd = environ.get("FOGBANK_BIND_FD")
    program = environ.get("SAGEMAKER_PROGRAM") or "inference.py"
    return Settings(
        model_dir=model_dir,
        code_dir=_code_dir(environ.get("SAGEMAKER_SUBMIT_DIRECTORY"), base),
        module_name=program.removesuffix(".py"),
        bind_host=environ.get("FOGBANK_BIND_HOST", "127.0.0.1"),
        bind_port=_number(environ, "SAGEMAKER_BIND_TO_PORT", 8080, 0, 65535),
        bind_fd=None if fd is None else _number(environ, "FOGBANK_BIND_FD", 0, 0, 1 << 20),
        num_workers=_number(environ, "SAGEMAKER_MODEL_SERVER_WORKERS", 1, 1, 256),
        invocation_timeout_s=_number(environ, "SAGEMAKER_MODEL_SERVER_TIMEOUT", 60, 1, 86400),
        default_accept=environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json"),
        log_level=_number(environ, "SAGEMAKER_CONTAINER_LOG_LEVEL", 20, 0, 50),
        max_body_bytes=_number(environ, "FOGBANK_MAX_BODY_BYTES", 25 << 20, 1, 1 << 31),
        max_waiting=_number(environ, "FOGBANK_MAX_WAITING", 100, 1, 1 << 20),
    )


def _code_dir(submitted: str | None, base: Path) -> Path:
    """SDKs send `/opt/ml/model/code`, wherever /opt/ml really is on this machine."""
    if not submitted:
        return base / "model" / "code"
    if submitted.startswith("s3://"):
        raise ContractError(
            f"SAGEMAKER_SUBMIT_DIRECTORY is {submitted!r}: code is served from the model archive "
            "(model.tar.gz, folder code/); repack the model with its code"
        )
    path = PurePosixPath(submitted)
    return base / path.relative_to(_AWS_BASE) if path.is_relative_to(_AWS_BASE) else Path(path)


def _number(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name) or str(default)
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ContractError(f"{name} is {text!r}; it must be a whole number from {low} to {high}")
    return value
