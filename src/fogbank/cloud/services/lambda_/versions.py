"""PublishVersion, ListVersionsByFunction, and what versions have in common with updates."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import Function, FunctionVersion
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.code import CodeIntake
from fogbank.cloud.services.lambda_.description import brief, configuration
from fogbank.cloud.services.lambda_.directory import Directory, version_order
from fogbank.cloud.services.lambda_.names import named, unqualified
from fogbank.cloud.services.lambda_.paging import page
from fogbank.cloud.services.lambda_.refusals import check_revision, conflict, invalid

CREATING: dict[str, Any] = {
    "state": "Pending",
    "state_reason": "The function is being created.",
    "state_reason_code": "Creating",
    "update_status": "Successful",
    "update_reason": None,
    "update_reason_code": None,
}
"""A new version, until the machine has made it Active."""

UPDATING: dict[str, Any] = {
    "update_status": "InProgress",
    "update_reason": "The function is being created.",
    "update_reason_code": "Creating",
}
"""`$LATEST` with new code or settings, until the machine has taken them up (texts: observed)."""


def new_revision() -> str:
    """A RevisionId."""
    return str(uuid.uuid4())


def check_idle(version: FunctionVersion, *, works: bool = False) -> None:
    """Raises ResourceConflictException while the function is being made or updated; with `works`,
    also where that has failed."""
    if version.state == "Pending" or (works and version.state != "Active"):
        raise conflict(
            "The operation cannot be performed at this time. The function is currently in the "
            f"following state: {version.state}"
        )
    if version.update_status == "InProgress":
        raise conflict(
            "The operation cannot be performed at this time. An update is in progress for "
            f"resource: {version.arn}"
        )


def publish(
    records: Records,
    function: Function,
    latest: FunctionVersion,
    now: datetime,
    *,
    description: str | None = None,
) -> FunctionVersion:
    """The next numbered version: a copy of `$LATEST` that never changes. Where nothing has changed
    since the newest one, that one."""
    newest = records.get(FunctionVersion, f"{function.name}:{function.last_version}")
    if newest is not None and _same(newest, latest):
        return newest
    number = str(function.last_version + 1)
    settings = dict(latest.settings)
    if description is not None:
        settings["Description"] = description
    version = replace(
        latest,
        version=number,
        arn=f"{function.arn}:{number}",
        settings=settings,
        modified=now,
        revision_id=new_revision(),
        **CREATING,
    )
    records.put(replace(function, last_version=function.last_version + 1), version)
    return version


class Versions:
    """Numbered versions of functions."""

    def __init__(self, *, records: Records, directory: Directory, intake: CodeIntake) -> None:
        self._records = records
        self._directory = directory
        self._intake = intake

    @operation("PublishVersion")
    def publish(self, context: Context, params: Params) -> Result:
        """Answers the newest version once more where nothing has changed since."""
        name = unqualified(params, self._directory.scope)
        if params.get("PublishTo"):
            raise invalid("Fogbank does not support PublishTo in PublishVersion.")
        latest = self._directory.latest(name)
        check_revision(params.get("RevisionId"), latest.revision_id)
        check_idle(latest, works=True)
        wanted = params.get("CodeSha256")
        if wanted and wanted != latest.code_sha256:
            raise invalid(
                f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST "
                f"({latest.code_sha256}). Please try again with the CodeSHA256 in $LATEST."
            )
        function = self._directory.function(name)
        description = params.get("Description")
        version = publish(
            self._records, function, latest, context.received, description=description
        )
        return configuration(version, self._intake.layer_size)

    @operation("ListVersionsByFunction")
    def list(self, context: Context, params: Params) -> Result:
        name = named(params, self._directory.scope).name
        self._directory.function(name)
        shown, more = page(
            params, self._directory.versions(name), lambda each: f"{version_order(each):012d}"
        )
        return {
            "Versions": [
                brief(
                    version,
                    self._intake.layer_size,
                    arn=self._directory.arn(name, version.version),
                )
                for version in shown
            ],
            **more,
        }


def _same(newest: FunctionVersion, latest: FunctionVersion) -> bool:
    """Whether `$LATEST` is still what the newest version was made of. The description of a version
    may be its own; that of `$LATEST` counts when it was changed since."""
    if latest.modified > newest.modified and _description(latest) != _description(newest):
        return False
    published = replace(
        newest,
        version=latest.version,
        arn=latest.arn,
        settings={**newest.settings, "Description": _description(latest)},
        modified=latest.modified,
        revision_id=latest.revision_id,
        state=latest.state,
        state_reason=latest.state_reason,
        state_reason_code=latest.state_reason_code,
        update_status=latest.update_status,
        update_reason=latest.update_reason,
        update_reason_code=latest.update_reason_code,
    )
    now = replace(latest, settings={**latest.settings, "Description": _description(latest)})
    return published == now


def _description(version: FunctionVersion) -> str:
    text: str = version.settings.get("Description", "")
    return text
