"""What every machine works with: the cloud's rooms, and where things are on this host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fogbank.cloud.machines import connections
from fogbank.cloud.machines.engine import Engine
from fogbank.cloud.machines.image_map import ImageMap
from fogbank.cloud.machines.placement import Strategy
from fogbank.cloud.machines.shares import Shares
from fogbank.cloud.ports import Keyring, LogSink, Objects
from fogbank.core.arn import Scope
from fogbank.core.clock import Clock


@dataclass(frozen=True, kw_only=True)
class Site:
    """home:      the cloud's folder.
    endpoint_url: where programs find the cloud.
    strategy:     how channels are put in place, see `placement.choose`.
    linked:       whether instances talk to each other, see `connections.linked`.
    """

    engine: Engine
    objects: Objects
    logs: LogSink
    keyring: Keyring
    clock: Clock
    shares: Shares
    images: ImageMap
    home: Path
    endpoint_url: str
    scope: Scope
    strategy: Strategy
    linked: Callable[[Sequence[int], int], bool] = connections.linked

    @property
    def training_root(self) -> Path:
        """Below it, each training job has a folder."""
        return self.home / "instances" / "training"

    @property
    def hosting_root(self) -> Path:
        """Below it, each replica of an endpoint has a folder."""
        return self.home / "instances" / "hosting"

    @property
    def torch_home(self) -> Path:
        """Pretrained weights that all jobs and endpoints share."""
        return self.home / "torch"

    @property
    def overlays(self) -> Path:
        """Environments made from requirements.txt that all jobs and endpoints share."""
        return self.home / "overlays"
