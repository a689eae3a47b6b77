"""Which version runs a call: an alias and a draw in, a version out. Pure: the draw is given.

Source: "Implement Lambda canary deployments using a weighted alias" (Lambda Developer Guide).
"""

from __future__ import annotations

from fogbank.cloud.records.function import Alias


def version_of_alias(alias: Alias, draw: float) -> str:
    """The version that takes a call of the alias.

    draw: uniform in [0, 1). The second version of a weighted alias takes the draws below its
    weight: with `{"2": 0.1}`, one call in ten.
    """
    reached = 0.0
    for version in sorted(alias.weights, key=int):
        reached += alias.weights[version]
        if draw < reached:
            return version
    return alias.version
