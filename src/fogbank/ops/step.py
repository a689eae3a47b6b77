"""One thing to do: what stands between deciding and doing. Printable, comparable, JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "bucket",
    "data",
    "role",
    "code",
    "tuning-job",
    "training-job",
    "model",
    "endpoint-config",
    "endpoint",
    "scaling",
    "log-group",
    "function",
    "alias",
    "reserved-concurrency",
    "provisioned-concurrency",
    "function-url",
]

Verb = Literal["create", "update", "upload", "pack", "wait", "stop", "delete"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A call, or a few that belong together, which make one resource as it should be.

    Doing a step twice does no harm: the second time it finds its work done.
    """

    kind: Kind
    verb: Verb
    name: str
    """Of the resource."""
    message: str
    """What is done, in the imperative: "create the bucket dogs"."""
    reason: str
    """Why: what was observed that is not as it should be."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """What the kind needs to do it: mostly the parameters of the AWS call. JSON values only."""
    if_interrupted: str = ""
    """What goes on in the cloud when the person presses Ctrl-C during this step."""
