"""Model data of a container -> its /opt/ml/model folder.

In: the container of a Variant (ModelDataUrl, or ModelDataSource with an S3 prefix or archive).
Out: files in the folder, or ModelDataError with words for a FailureReason. Source: API reference,
ContainerDefinition and S3ModelDataSource.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fogbank.cloud.machines.archive import ArchiveError
from fogbank.cloud.machines.channels import (
    ChannelError,
    S3Location,
    arrange,
    below_prefix,
    list_objects,
)
from fogbank.cloud.machines.placement import place, unpack_object
from fogbank.cloud.ports import Objects, StoredObject
from fogbank.core.errors import FogbankError


class ModelDataError(FogbankError):
    """The model data cannot be put in place, and no other attempt could."""


class ModelStore:
    """Brings model data from the object store."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def place(self, container: Mapping[str, Any], folder: Path) -> None:
        """Fill `folder` (created). A container without model data gets an empty one.

        Raises ModelDataError: not there, not an archive, a hostile archive, an unsupported source.
        """
        folder.mkdir(parents=True, exist_ok=True)
        source = (container.get("ModelDataSource") or {}).get("S3DataSource")
        uri = source["S3Uri"] if source else container.get("ModelDataUrl")
        if not uri:
            return
        try:
            if source and source["CompressionType"] == "None":
                await self._copy(S3Location.parse(uri), source["S3DataType"], folder)
            else:
                await unpack_object(self._objects, S3Location.parse(uri), folder)
        except (ChannelError, ArchiveError) as error:
            raise ModelDataError(f"Could not use the model data at {uri}: {error}") from error
        except LookupError:
            raise ModelDataError(
                f"Could not find model data at {uri}. Please ensure that the object exists and "
                "that the role of the model may read it."
            ) from None

    async def _copy(self, location: S3Location, kind: str, folder: Path) -> None:
        listed = await list_objects(self._objects, location.bucket, location.key)
        named = below_prefix(listed, location.key)
        if kind == "S3Object":
            named = [(path, item) for path, item in named if item.key == location.key]
        if not named:
            raise LookupError(str(location))
        # Copied, never linked: a container may write to its model folder.
        await place(arrange("model", named), folder, "copy", self._again)

    def _again(self, item: StoredObject) -> StoredObject | None:
        return self._objects.stat(item.bucket, item.key)
