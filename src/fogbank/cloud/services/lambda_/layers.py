"""PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn, ListLayerVersions, ListLayers,
DeleteLayerVersion.

Source: Lambda Developer Guide, "Managing Lambda dependencies with layers".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import LayerVersion
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.code import CodeIntake, layer_version
from fogbank.cloud.services.lambda_.description import moment
from fogbank.cloud.services.lambda_.downloads import DownloadLinks
from fogbank.cloud.services.lambda_.paging import page
from fogbank.cloud.services.lambda_.refusals import invalid, no_such_resource, not_found
from fogbank.core.arn import Scope


class Layers:
    """Zips that functions share. A deleted version is kept for the functions that use it, and its
    number is never used again."""

    def __init__(
        self, *, records: Records, scope: Scope, intake: CodeIntake, links: DownloadLinks
    ) -> None:
        self._records = records
        self._scope = scope
        self._intake = intake
        self._links = links

    @operation("PublishLayerVersion")
    async def publish(self, context: Context, params: Params) -> Result:
        name = self._name(params)
        archive = await self._intake.take(context, params["Content"], "PublishLayerVersion")
        number = max((layer.version for layer in self._versions(name)), default=0) + 1
        layer = LayerVersion(
            layer=name,
            version=number,
            arn=f"{self._arn(name)}:{number}",
            code_sha256=archive.sha256,
            code_size_bytes=archive.size_bytes,
            description=params.get("Description", ""),
            runtimes=tuple(params.get("CompatibleRuntimes", ())),
            architectures=tuple(params.get("CompatibleArchitectures", ())),
            license=params.get("LicenseInfo"),
            created=context.received,
        )
        self._records.put(layer)
        return self._whole(layer, context.received)

    @operation("GetLayerVersion")
    def get(self, context: Context, params: Params) -> Result:
        name, number = self._name(params), params["VersionNumber"]
        if number < 1:
            raise invalid("Layer Version Cannot be less than 1.")
        return self._whole(self._existing(f"{self._arn(name)}:{number}"), context.received)

    @operation("GetLayerVersionByArn")
    def get_by_arn(self, context: Context, params: Params) -> Result:
        return self._whole(self._existing(params["Arn"]), context.received)

    @operation("ListLayerVersions")
    def list_versions(self, context: Context, params: Params) -> Result:
        """Newest first."""
        found = [each for each in self._versions(self._name(params)) if _fits(each, params)]
        shown, more = page(params, found, lambda layer: f"{10**12 - layer.version:013d}")
        return {"LayerVersions": [_shown(layer) for layer in shown], **more}

    @operation("ListLayers")
    def list(self, context: Context, params: Params) -> Result:
        """Each layer with its newest version that fits."""
        newest: dict[str, LayerVersion] = {}
        for layer in self._records.all(LayerVersion):  # by name, then by number
            if _fits(layer, params):
                newest[layer.layer] = layer
        shown, more = page(params, newest.values(), lambda layer: layer.layer)
        layers = [
            {
                "LayerName": layer.layer,
                "LayerArn": self._arn(layer.layer),
                "LatestMatchingVersion": _shown(layer),
            }
            for layer in shown
        ]
        return {"Layers": layers, **more}

    @operation("DeleteLayerVersion")
    def delete(self, context: Context, params: Params) -> Result:
        """A version that is not there is no error."""
        name, number = self._name(params), params["VersionNumber"]
        found = self._records.get(LayerVersion, f"{name}:{number:08d}")
        if found is not None:
            self._records.put(replace(found, deleted=True))
        return {}

    def _name(self, params: Params) -> str:
        """LayerName is a name or an ARN."""
        text: str = params["LayerName"]
        name = text.rpartition(":")[2]
        if text not in (name, self._arn(name)):
            raise not_found(f"Layer {text} does not exist.")
        return name

    def _arn(self, name: str) -> str:
        return self._scope.arn("lambda", f"layer:{name}")

    def _versions(self, name: str) -> Iterable[LayerVersion]:
        """Deleted ones included."""
        return self._records.all(LayerVersion, prefix=f"{name}:")

    def _existing(self, arn: str) -> LayerVersion:
        found = layer_version(self._records, arn)
        if found is None or found.deleted:
            raise no_such_resource()
        return found

    def _whole(self, layer: LayerVersion, now: datetime) -> Result:
        return {
            **_shown(layer),
            "LayerArn": self._arn(layer.layer),
            "Content": {
                "Location": self._links.link(layer.code_sha256, now),
                "CodeSha256": layer.code_sha256,
                "CodeSize": layer.code_size_bytes,
            },
        }


def _fits(layer: LayerVersion, params: Params) -> bool:
    """Not deleted, and made for the runtime and architecture that are asked about."""
    runtime, architecture = params.get("CompatibleRuntime"), params.get("CompatibleArchitecture")
    return (
        not layer.deleted
        and (runtime is None or runtime in layer.runtimes)
        and (architecture is None or architecture in layer.architectures)
    )


def _shown(layer: LayerVersion) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "LayerVersionArn": layer.arn,
        "Version": layer.version,
        "Description": layer.description,
        "CreatedDate": moment(layer.created),
    }
    if layer.runtimes:
        shown["CompatibleRuntimes"] = list(layer.runtimes)
    if layer.architectures:
        shown["CompatibleArchitectures"] = list(layer.architectures)
    if layer.license is not None:
        shown["LicenseInfo"] = layer.license
    return shown
