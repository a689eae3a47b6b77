"""What AWS's data centre gives to endpoints: how many instances, and how long one takes to come.

Fogbank's instances are there at once and as many as are asked for. Both can be made as they are on
AWS: a start of minutes for a rehearsal that is true to time, and a shortage as a drill.
"""

from __future__ import annotations

from collections import Counter

from fogbank.cloud.rules.endpoint_quota import InstanceCounts

ASK_AGAIN_S = 10.0
"""Where there are too few instances: how soon to look whether there are more."""


class InstanceSupply:
    """available: how many there are of each type. start_s: seconds until one is there, besides
    what its container takes. time_scale: both pass that many times faster."""

    def __init__(
        self,
        available: InstanceCounts | None = None,
        *,
        start_s: float = 0.0,
        time_scale: float = 1.0,
    ) -> None:
        self.start_s = start_s / time_scale
        self.ask_again_s = ASK_AGAIN_S / time_scale
        self.time_scale = time_scale
        self._available = available or InstanceCounts()
        self._taken: Counter[str] = Counter()

    def take(self, instance_type: str, wanted: int) -> int:
        """Take up to `wanted` instances; how many there are."""
        limit = self._available.of(instance_type)
        free = wanted if limit is None else limit - self._taken[instance_type]
        given = max(0, min(wanted, free))
        self._taken[instance_type] += given
        return given

    def give_back(self, instance_type: str) -> None:
        """One instance that `take` gave."""
        self._taken[instance_type] -= 1
