"""What a function may be: settings in, nothing or Lambda's refusal out. Pure.

Sources: Lambda Developer Guide, "Lambda quotas", "Working with environment variables", "Configuring
reserved concurrency", "Configuring provisioned concurrency"; the texts are those that public
records of real accounts show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from fogbank.cloud.errors import ServiceError

DEFAULT_TIMEOUT_S = 3
DEFAULT_MEMORY_MB = 128
DEFAULT_EPHEMERAL_STORAGE_MB = 512
MAX_TIMEOUT_S = 900
MAX_MEMORY_MB = 10_240
MAX_EPHEMERAL_STORAGE_MB = 10_240
MAX_ENVIRONMENT_BYTES = 4096
MAX_LAYERS = 5
MAX_UNZIPPED_BYTES = 262_144_000
"""Code and layers together."""

UNRESERVED_MINIMUM = 100
"""So many executions stay for functions without a reservation; all of them in a smaller account."""

_PYTHON = re.compile(r"python3\.\d+")

RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
"""Names that the environment of a function sets itself."""


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", message)


def check_runtime(runtime: str) -> None:
    """Raises InvalidParameterValueException for what is not Python 3."""
    if _PYTHON.fullmatch(runtime) is None:
        raise _invalid(
            f"Fogbank runs Python functions only: it cannot run {runtime}. Use a runtime python3.x."
        )


def check_limits(timeout_s: int, memory_mb: int, ephemeral_storage_mb: int) -> None:
    """The upper limits. The lower ones are the model's, whose upper ones are those of functions on
    managed instances."""
    for name, value, most in (
        ("Timeout", timeout_s, MAX_TIMEOUT_S),
        ("MemorySize", memory_mb, MAX_MEMORY_MB),
        ("EphemeralStorage", ephemeral_storage_mb, MAX_EPHEMERAL_STORAGE_MB),
    ):
        if value > most:
            raise _invalid(
                f"'{name}' value failed to satisfy constraint: Member must have value less than or "
                f"equal to {most}"
            )


def check_environment(variables: Mapping[str, str]) -> None:
    """Reserved names, and the 4 KB that all of them may take as JSON."""
    reserved = [name for name in variables if name in RESERVED_VARIABLES]
    if reserved:
        raise _invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    text = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    size_bytes = len(text.encode("utf-8", "surrogatepass"))
    if size_bytes > MAX_ENVIRONMENT_BYTES:
        # AWS repeats the variables here. They may be secrets, and refusals are logged.
        raise _invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided exceeded the 4KB limit. "
            f"String measured: {size_bytes} bytes"
        )


def check_layers(arns: Sequence[str]) -> None:
    """At most five, no two versions of one layer."""
    if len(arns) > MAX_LAYERS:
        raise _invalid(f"Cannot reference more than {MAX_LAYERS} layers.")
    seen: dict[str, str] = {}
    for arn in arns:
        layer = arn.rpartition(":")[0]
        if layer in seen:
            raise _invalid(
                "Two different versions of the same layer are not allowed to be referenced in the "
                f"same function. {seen[layer]} and {arn} are versions of the same layer."
            )
        seen[layer] = arn


def check_unzipped(code_bytes: int, layer_bytes: int) -> None:
    """Code and layers together."""
    if layer_bytes and code_bytes + layer_bytes > MAX_UNZIPPED_BYTES:
        raise _invalid(
            "Function code combined with layers exceeds the maximum allowed size of "
            f"{MAX_UNZIPPED_BYTES} bytes. The actual size is {code_bytes + layer_bytes} bytes."
        )


def check_weights(version: str, weights: Mapping[str, float]) -> None:
    """An alias' routing: one further version, another one than the first, neither `$LATEST`."""
    if len(weights) > 1:
        raise _invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    if weights and version == "$LATEST":
        raise _invalid("$LATEST is not supported for an alias pointing to more than 1 version")
    if version in weights:
        raise _invalid(
            f"Invalid function version {version}. Function version {version} is already included "
            "in routing configuration."
        )


def committed(reserved: int | None, provisioned: int) -> int:
    """Executions that a function takes out of the account's common pool: its reservation, which
    its provisioned concurrency is part of, or else the provisioned concurrency itself."""
    return provisioned if reserved is None else reserved


def unreserved_minimum(account_limit: int) -> int:
    """100, or the whole of a smaller account: with a limit of 10 nothing can be reserved."""
    return min(UNRESERVED_MINIMUM, account_limit)


def check_reserved(
    reserved: int, provisioned: int, *, others_committed: int, account_limit: int
) -> None:
    """PutFunctionConcurrency.

    provisioned:      what the function's versions and aliases have requested together.
    others_committed: `committed` of the other functions together.
    """
    if reserved < provisioned:
        raise _invalid(
            f" ReservedConcurrentExecutions  {reserved} should not be lower than function's total "
            f"provisioned concurrency [{provisioned}]."
        )
    minimum = unreserved_minimum(account_limit)
    if account_limit - others_committed - reserved < minimum:
        raise _invalid(
            "Specified ReservedConcurrentExecutions for function decreases account's "
            f"UnreservedConcurrentExecution below its minimum value of [{minimum}]."
        )


def check_provisioned(
    provisioned: int, reserved: int | None, *, others_committed: int, account_limit: int
) -> None:
    """PutProvisionedConcurrencyConfig.

    provisioned: what the function's versions and aliases would have requested together.
    """
    if reserved is not None:
        if provisioned > reserved:
            raise _invalid(
                "Requested Provisioned Concurrency should not be greater than the "
                "reservedConcurrentExecution for function"
            )
        return
    minimum = unreserved_minimum(account_limit)
    if account_limit - others_committed - provisioned < minimum:
        raise _invalid(
            "Specified ConcurrentExecutions for function is greater than account's unreserved "
            f"concurrency [{max(0, account_limit - others_committed - minimum)}]."
        )
