"""The section `function` of `fogbank.yaml`: the Lambda function in front of the endpoint. Pure.

Source: Lambda Developer Guide, "Lambda quotas", "Configuring reserved concurrency", "Configuring
provisioned concurrency"; API reference, PutRetentionPolicy.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from fogbank.ops.spec_section import RelativePath, Script, Section, as_tuple, mistake

_NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:\*\.)?{_NAME}(?:\.{_NAME})+(?::[1-9][0-9]{{0,4}})?")
"""Two labels at least, also behind a star: `*.com` would be half of the internet."""

_S3_PREFIX = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9!_.'()/=-]*/")


def _host(text: str) -> str:
    if _HOST.fullmatch(text) is None or re.fullmatch(r"[0-9.:]+", text):
        raise ValueError(
            "is not a host such as images.example.com, *.example.com or images.example.com:8443"
        )
    return text


def _s3_prefix(text: str) -> str:
    if _S3_PREFIX.fullmatch(text) is None:
        raise ValueError("is not a prefix such as s3://bucket/pictures/, with a slash at its end")
    return text


class Function(Section):
    """The Lambda function in front of the endpoint: what websites and APIs call."""

    entry_point: Script = "function.py"
    """Module with the handler, relative to `source_dir` where there is one."""
    handler: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "handler"
    """Name of the function in that module: it gets `(event, context)`."""
    source_dir: RelativePath | None = None
    """Folder whose files go along; without it the module alone. Lambda installs nothing: packages
    other than boto3 belong into this folder (`pip install --target`)."""
    runtime: Annotated[str, StringConstraints(pattern=r"^python3\.[0-9]+$")] = "python3.13"
    """Lambda's runtime. The local cloud runs all of them with its own Python."""
    memory_mb: Annotated[int, Field(ge=128, le=10_240)] = 512
    """Processor time comes in proportion: 1,769 MB are one vCPU, 128 MB 7 % of one."""
    timeout_s: Annotated[int, Field(ge=1, le=900)] = 75
    """More than the 60 s that the endpoint has for an answer, so that a time-out is answered (504)
    and not cut off."""
    allowed_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_host)], ...], BeforeValidator(as_tuple)
    ] = ()
    """Hosts whose pictures it may fetch for `{"url": ...}`; `*.example.com` stands for all below
    it. Without any, no address is fetched."""
    s3_prefixes: Annotated[
        tuple[Annotated[str, AfterValidator(_s3_prefix)], ...], BeforeValidator(as_tuple)
    ] = ()
    """What it may read for `{"s3": ...}`, such as `s3://bucket/pictures/`; its role allows no
    more."""
    reserved_concurrency: Annotated[int, Field(ge=0)] | None = None
    """Executions at once that are its own, and that it never exceeds; 0 switches it off. Without
    it, it shares the account's."""
    provisioned_concurrency: Annotated[int, Field(ge=0)] = 0
    """Environments that are started before anybody calls (each costs while it waits). They serve
    who calls the alias `live`."""
    url: Literal["none", "iam", "public"] = "none"
    """An HTTPS address of its own: for signed requests (`iam`), or for everybody (`public`)."""
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365] | None = 30
    """How long its log is kept; `null` keeps it for ever."""

    @model_validator(mode="after")
    def _checked(self) -> Self:
        reserved = self.reserved_concurrency
        if reserved is not None and self.provisioned_concurrency > reserved:
            raise mistake(
                f"is more than reserved_concurrency ({reserved}), which it is a part of",
                "provisioned_concurrency",
            )
        variables = len(" ".join((*self.allowed_hosts, *self.s3_prefixes)))
        if variables > 3500:
            raise mistake(
                f"make {variables} characters together with s3_prefixes; a function's variables "
                "may have 4 KB in all. Use *.example.com for many hosts of one owner",
                "allowed_hosts",
            )
        return self
