"""Which variant and which replica answer an invocation. Pure: takes random numbers in [0, 1).

Sources: API reference, ProductionVariant (InitialVariantWeight, RoutingConfig) and InvokeEndpoint
(TargetVariant).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Strategy = Literal["RANDOM", "LEAST_OUTSTANDING_REQUESTS"]

DEFAULT_STRATEGY: Strategy = "RANDOM"
"""RoutingStrategy of a variant without RoutingConfig."""


def choose_variant(weights: Sequence[float], draw: float) -> int:
    """The index of a variant, with probability weight / sum of weights.

    A variant of weight 0 gets nothing, unless all have weight 0: then all are alike.
    `draw` is a random number in [0, 1). ValueError for no variants.
    """
    if not weights:
        raise ValueError("no variant to choose from")
    total = sum(weights)
    if total <= 0:
        return int(draw * len(weights))
    left = draw * total
    last_positive = 0
    for index, weight in enumerate(weights):
        if weight <= 0:
            continue
        last_positive = index
        left -= weight
        if left < 0:
            return index
    return last_positive  # 0.1 + 0.2 + ... may sum to a little more than it takes away again


def choose_replica(
    outstanding: Sequence[int], draw: float, strategy: Strategy = DEFAULT_STRATEGY
) -> int:
    """The index of a replica. `outstanding` has the requests in flight of each healthy one.

    LEAST_OUTSTANDING_REQUESTS takes one with the fewest, ties broken by `draw`; RANDOM takes any.
    `draw` is a random number in [0, 1). ValueError for no replicas.
    """
    if not outstanding:
        raise ValueError("no replica to choose from")
    if strategy == "RANDOM":
        return int(draw * len(outstanding))
    fewest = min(outstanding)
    idle = [index for index, count in enumerate(outstanding) if count == fewest]
    return idle[int(draw * len(idle))]
