"""Service names in, botocore service models out: cached, read on first use, without their prose.

A model without its documentation strings takes about a third of the memory.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader
from botocore.model import OperationModel, ServiceModel

_METADATA_MARK = '"metadata":'
_HEAD_CHARS = 16_384  # metadata stands at the head of every model: 0.4 to 1.5 KB


def _open(file_path: str) -> str | None:
    """The path of the model file that exists, gzipped or plain."""
    for suffix in (".json.gz", ".json"):
        if Path(file_path + suffix).is_file():
            return file_path + suffix
    return None


def _without_prose(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A structure's member may be called "documentation" too: then the value is a dict.
    return {k: v for k, v in pairs if k != "documentation" or not isinstance(v, str)}


class _ProseFreeFiles(JSONFileLoader):
    """Reads a whole model file, dropping documentation while the JSON is parsed."""

    def load_file(self, file_path: str) -> Any:
        path = _open(file_path)
        if path is None:
            return None
        raw = Path(path).read_bytes()
        text = gzip.decompress(raw) if path.endswith(".gz") else raw
        return json.loads(text, object_pairs_hook=_without_prose)


class _MetadataOnly(JSONFileLoader):
    """Reads no more of a model file than its metadata."""

    def load_file(self, file_path: str) -> Any:
        path = _open(file_path)
        if path is None:
            return None
        with (gzip.open if path.endswith(".gz") else open)(path, "rt") as stream:
            head = stream.read(_HEAD_CHARS)
            start = head.find(_METADATA_MARK)
            if start < 0:  # a model laid out otherwise: read all of it
                return {"metadata": json.loads(head + stream.read())["metadata"]}
            rest = head[start + len(_METADATA_MARK) :].lstrip()
            return {"metadata": json.JSONDecoder().raw_decode(rest)[0]}


def _loader(files: JSONFileLoader) -> Loader:
    # One loader a call: a loader keeps every description that it has read.
    return Loader(file_loader=files)


@cache
def service_model(name: str) -> ServiceModel:
    """The model of a service by botocore's name (`sagemaker-runtime`, `s3`, `ec2`).

    Raises botocore's UnknownServiceError for a name that it does not know.
    """
    description = _loader(_ProseFreeFiles()).load_service_model(name, "service-2")
    return ServiceModel(description, name)


@cache
def service_metadata(name: str) -> Mapping[str, Any]:
    """The `metadata` of a service's model (`targetPrefix`, `signingName`, `protocols` ...).

    Far cheaper than `service_model`: it does not read the shapes.
    """
    loader = _loader(_MetadataOnly())
    version = loader.determine_latest_version(name, "service-2")
    data: Any = loader.load_data(f"{name}/{version}/service-2")
    metadata: Mapping[str, Any] = data["metadata"]
    return metadata


@cache
def operation_model(service: str, operation: str) -> OperationModel:
    """The model of one operation. Raises OperationNotFoundError for a name that is not in it."""
    return service_model(service).operation_model(operation)


def protocols(service: str) -> tuple[str, ...]:
    """The protocols that a service answers, as its model lists them."""
    metadata = service_metadata(service)
    return tuple(metadata.get("protocols") or (metadata["protocol"],))


def signing_name(service: str) -> str:
    """The service name in a credential scope: `monitoring` for cloudwatch."""
    metadata = service_metadata(service)
    name: str = metadata.get("signingName") or metadata["endpointPrefix"]
    return name
