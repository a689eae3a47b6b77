"""The life of a version: Pending -> Active or Failed; an update InProgress -> Successful or Failed.

In: the record and what came of preparing it. Out: the record as it is then. Source: "Lambda
function states" (Lambda Developer Guide); reason codes (service model).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from fogbank.cloud.records.function import FunctionVersion


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a version cannot run. code: of StateReasonCode and LastUpdateStatusReasonCode."""

    code: str
    reason: str


def needs_preparation(version: FunctionVersion) -> bool:
    return version.state == "Pending" or version.update_status == "InProgress"


def prepared(
    version: FunctionVersion, obstacle: Obstacle | None, revision_id: str, now: datetime
) -> FunctionVersion:
    """The version after its code was unpacked and its role looked up.

    A new version that cannot run is Failed. One that ran before stays Active: its update failed.
    """
    changed = replace(version, revision_id=revision_id)
    if obstacle is None:
        return replace(
            changed,
            state="Active",
            state_reason=None,
            state_reason_code=None,
            update_status="Successful",
            update_reason=None,
            update_reason_code=None,
        )
    if version.state == "Pending":
        changed = replace(
            changed, state="Failed", state_reason=obstacle.reason, state_reason_code=obstacle.code
        )
    return replace(
        changed,
        update_status="Failed",
        update_reason=obstacle.reason,
        update_reason_code=obstacle.code,
        modified=now,
    )
