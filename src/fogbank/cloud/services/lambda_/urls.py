"""CreateFunctionUrlConfig, GetFunctionUrlConfig, UpdateFunctionUrlConfig, DeleteFunctionUrlConfig,
ListFunctionUrlConfigs. The addresses are answered by `function_urls`, beside the gateway."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import Alias, Function, FunctionUrl
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.description import moment
from fogbank.cloud.services.lambda_.directory import Directory
from fogbank.cloud.services.lambda_.names import FunctionName, named, unqualified
from fogbank.cloud.services.lambda_.paging import page
from fogbank.cloud.services.lambda_.refusals import conflict, invalid, no_such_resource, not_found

PATH = "/_lambda-url/"
"""Where URLs stand on the cloud's own port: no bucket's name begins with an underscore."""

_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_ID_CHARS = 32


class FunctionUrls:
    """HTTP addresses of functions and aliases. endpoint_url: where clients find the cloud."""

    def __init__(self, *, records: Records, directory: Directory, endpoint_url: str) -> None:
        self._records = records
        self._directory = directory
        self._endpoint_url = endpoint_url

    @operation("CreateFunctionUrlConfig")
    def create(self, context: Context, params: Params) -> Result:
        target = self._target(params)
        self._check_exists(target)
        _refuse_streams(params)
        key = f"{target.name}:{target.qualifier}"
        if self._records.get(FunctionUrl, key) is not None:
            arn = self._directory.arn(target.name, target.qualifier)
            raise conflict(
                f"Failed to create function url config for [functionArn = {arn}]. Error message:  "
                "FunctionUrlConfig exists for this Lambda function"
            )
        url = FunctionUrl(
            function=target.name,
            qualifier=target.qualifier,
            url_id="".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_CHARS)),
            auth_type=params["AuthType"],
            cors=params.get("Cors"),
            invoke_mode=params.get("InvokeMode", "BUFFERED"),
            created=context.received,
            modified=context.received,
        )
        self._records.put(url)
        shown = self._shown(url)
        del shown["LastModifiedTime"]
        return shown

    @operation("GetFunctionUrlConfig")
    def get(self, context: Context, params: Params) -> Result:
        return self._shown(self._existing(self._target(params)))

    @operation("UpdateFunctionUrlConfig")
    def update(self, context: Context, params: Params) -> Result:
        """Cors is replaced as a whole; the address never changes."""
        target = self._target(params)
        self._check_exists(target)
        _refuse_streams(params)
        url = self._existing(target)
        url = replace(
            url,
            auth_type=params.get("AuthType", url.auth_type),
            cors=params.get("Cors", url.cors),
            modified=context.received,
        )
        self._records.put(url)
        return self._shown(url)

    @operation("DeleteFunctionUrlConfig")
    def delete(self, context: Context, params: Params) -> Result:
        url = self._existing(self._target(params))
        self._records.delete(FunctionUrl, url.key)
        return {}

    @operation("ListFunctionUrlConfigs")
    def list(self, context: Context, params: Params) -> Result:
        name = unqualified(params, self._directory.scope)
        self._check_exists(FunctionName(name))
        found = self._records.all(FunctionUrl, prefix=f"{name}:")
        shown, more = page(params, found, lambda url: url.key)
        return {"FunctionUrlConfigs": [self._shown(url) for url in shown], **more}

    def _target(self, params: Params) -> FunctionName:
        target = named(params, self._directory.scope)
        if target.qualifier and not target.is_alias:
            raise invalid("A function URL is of a function or of an alias, never of a version.")
        return target

    def _check_exists(self, target: FunctionName) -> None:
        missing = self._records.get(Function, target.name) is None or (
            target.is_alias
            and self._records.get(Alias, f"{target.name}:{target.qualifier}") is None
        )
        if missing:
            raise not_found("Function does not exist")

    def _existing(self, target: FunctionName) -> FunctionUrl:
        found = self._records.get(FunctionUrl, f"{target.name}:{target.qualifier}")
        if found is None:
            raise no_such_resource()
        return found

    def _shown(self, url: FunctionUrl) -> dict[str, Any]:
        shown = {
            "FunctionUrl": f"{self._endpoint_url}{PATH}{url.url_id}/",
            "FunctionArn": self._directory.arn(url.function, url.qualifier),
            "AuthType": url.auth_type,
            "CreationTime": moment(url.created),
            "LastModifiedTime": moment(url.modified),
            "InvokeMode": url.invoke_mode,
        }
        return {**shown, "Cors": url.cors} if url.cors is not None else shown


def _refuse_streams(params: Params) -> None:
    if params.get("InvokeMode") == "RESPONSE_STREAM":
        raise invalid(
            "Fogbank buffers the answers of functions: InvokeMode RESPONSE_STREAM is not done."
        )
