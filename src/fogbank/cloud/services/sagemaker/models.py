"""CreateModel, DescribeModel, ListModels, DeleteModel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Objects, Records
from fogbank.cloud.records.hosting import Model
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.sagemaker.listing import Entry, page
from fogbank.cloud.services.sagemaker.refusals import (
    RoleExists,
    already_exists,
    check_role,
    not_found,
    refuse_unsupported,
)
from fogbank.cloud.services.sagemaker.s3_uri import S3Uri, has_object
from fogbank.cloud.services.sagemaker.tags import new_tags
from fogbank.core.arn import Scope

_VERBATIM = (
    "PrimaryContainer",
    "Containers",
    "InferenceExecutionConfig",
    "ExecutionRoleArn",
    "VpcConfig",
)


class Models:
    """A model is a container image, its model data and a role. Nothing runs because of it."""

    def __init__(
        self, *, records: Records, scope: Scope, objects: Objects, role_exists: RoleExists
    ) -> None:
        self._records = records
        self._scope = scope
        self._objects = objects
        self._role_exists = role_exists

    @operation("CreateModel")
    def create(self, context: Context, params: Params) -> Result:
        name: str = params["ModelName"]
        arn = self._arn(name)
        if self._records.get(Model, name) is not None:
            raise already_exists("model", arn)
        if "ExecutionRoleArn" not in params:
            raise ValidationException("ExecutionRoleArn is required to create a model.")
        self._check_container(only_container(params))
        check_role(params["ExecutionRoleArn"], self._role_exists)
        model = Model(name=name, arn=arn, request=dict(params), created=context.received)
        self._records.put(model, *new_tags(arn, params))
        return {"ModelArn": arn}

    @operation("DescribeModel")
    def describe(self, context: Context, params: Params) -> Result:
        model = self._model(params)
        return {
            "ModelName": model.name,
            "ModelArn": model.arn,
            "CreationTime": model.created,
            "EnableNetworkIsolation": bool(model.request.get("EnableNetworkIsolation")),
            **{name: model.request[name] for name in _VERBATIM if name in model.request},
        }

    @operation("ListModels")
    def list(self, context: Context, params: Params) -> Result:
        entries = (
            Entry(
                model.name,
                model.created,
                {
                    "ModelName": model.name,
                    "ModelArn": model.arn,
                    "CreationTime": model.created,
                },
            )
            for model in self._records.all(Model)
        )
        return page(params, entries, default_order="Descending").answer("Models")

    @operation("DeleteModel")
    def delete(self, context: Context, params: Params) -> Result:
        """Allowed while an endpoint serves it: the endpoint has its own copy."""
        model = self._model(params)
        with self._records.transaction():
            self._records.delete(Model, model.name)
            self._records.delete(Tags, model.arn)
        return {}

    def _check_container(self, container: Mapping[str, Any]) -> None:
        refuse_unsupported(
            container,
            ("ModelPackageName", "ModelDataSource", "AdditionalModelDataSources"),
            "CreateModel",
        )
        if not container.get("Image"):
            raise ValidationException("The container of a model needs an Image.")
        if container.get("Mode") == "MultiModel":
            raise ValidationException(
                "Fogbank does not support multi-model containers yet: use Mode SingleModel."
            )
        url = container.get("ModelDataUrl")
        if url and not has_object(self._objects, S3Uri.parse(url, "ModelDataUrl")):
            raise ValidationException(f"Could not find model data at {url}.")

    def _arn(self, name: str) -> str:
        return self._scope.arn("sagemaker", f"model/{name}")

    def _model(self, params: Params) -> Model:
        model = self._records.get(Model, params["ModelName"])
        if model is None:
            raise not_found("model", self._arn(params["ModelName"]))
        return model


def only_container(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container of a model's request: PrimaryContainer, or the one of Containers.

    Raises ValidationException for none, for both and for a pipeline of several.
    """
    primary, several = request.get("PrimaryContainer"), request.get("Containers")
    if primary and several:
        raise ValidationException("PrimaryContainer and Containers cannot be given both.")
    containers: list[Mapping[str, Any]] = [primary] if primary else list(several or ())
    if not containers:
        raise ValidationException("A model needs a PrimaryContainer or Containers.")
    if len(containers) > 1:
        raise ValidationException("Fogbank does not support inference pipelines yet.")
    return containers[0]
