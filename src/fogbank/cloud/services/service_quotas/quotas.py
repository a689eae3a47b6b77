"""GetServiceQuota, ListServiceQuotas, their AWS default twins, ListServices.

Source: Service Quotas API reference. NoSuchResourceException for a service is worded as observed
(aws-cli #4569), and for a context, too (aws-cli #8584); for a quota the words are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.paging import BadToken, page_by_place
from fogbank.cloud.services.service_quotas.catalogue import SERVICE_NAMES, Quota
from fogbank.core.arn import Scope

PAGE_SIZE = 100

_LEVEL = "ACCOUNT"
"""None of these quotas is one of a single resource."""


class Quotas:
    def __init__(self, scope: Scope, quotas: Sequence[Quota]) -> None:
        self._scope = scope
        self._quotas = {(quota.service, quota.code): quota for quota in quotas}

    @operation("ListServices")
    def list_services(self, context: Context, params: Params) -> Result:
        services = [
            {"ServiceCode": code, "ServiceName": name} for code, name in SERVICE_NAMES.items()
        ]
        return _page(services, params, "Services")

    @operation("GetServiceQuota")
    def get(self, context: Context, params: Params) -> Result:
        quota = self._quota(params)
        if "ContextId" in params:
            raise _no_such("applied value for the specified context Id do not exist.")
        return {"Quota": self._applied(quota)}

    @operation("ListServiceQuotas")
    def list_quotas(self, context: Context, params: Params) -> Result:
        found: Iterable[Quota] = self._of_service(params)
        if params.get("QuotaAppliedAtLevel") == "RESOURCE":
            found = ()
        if "QuotaCode" in params:
            found = (quota for quota in found if quota.code == params["QuotaCode"])
        return _page([self._applied(quota) for quota in found], params, "Quotas")

    @operation("GetAWSDefaultServiceQuota")
    def get_default(self, context: Context, params: Params) -> Result:
        return {"Quota": self._default(self._quota(params))}

    @operation("ListAWSDefaultServiceQuotas")
    def list_defaults(self, context: Context, params: Params) -> Result:
        found = [self._default(quota) for quota in self._of_service(params)]
        return _page(found, params, "Quotas")

    def _of_service(self, params: Params) -> list[Quota]:
        service = params["ServiceCode"]
        if service not in SERVICE_NAMES:
            raise _no_such("the specified service does not exist.")
        return [quota for quota in self._quotas.values() if quota.service == service]

    def _quota(self, params: Params) -> Quota:
        self._of_service(params)
        quota = self._quotas.get((params["ServiceCode"], params["QuotaCode"]))
        if quota is None:
            raise _no_such("the specified quota does not exist.")
        return quota

    def _applied(self, quota: Quota) -> dict[str, Any]:
        return self._shape(quota, quota.value, self._scope.account)

    def _default(self, quota: Quota) -> dict[str, Any]:
        return self._shape(quota, quota.default, "")

    def _shape(self, quota: Quota, value: int, account: str) -> dict[str, Any]:
        """account: "" for a default, which is nobody's own (observed: terraform #13075)."""
        region, resource = self._scope.region, f"{quota.service}/{quota.code}"
        return {
            "ServiceCode": quota.service,
            "ServiceName": SERVICE_NAMES[quota.service],
            "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:{resource}",
            "QuotaCode": quota.code,
            "QuotaName": quota.name,
            "Value": float(value),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
            "QuotaAppliedAtLevel": _LEVEL,
        }


def _no_such(what: str) -> ServiceError:
    return ServiceError("NoSuchResourceException", f"The request failed because {what}")


def _page(found: Sequence[dict[str, Any]], params: Params, name: str) -> Result:
    size = params.get("MaxResults", PAGE_SIZE)
    try:
        shown, more = page_by_place(found, params.get("NextToken"), size)
    except BadToken as error:
        raise ServiceError(
            "InvalidPaginationTokenException",
            "Invalid input: the pagination token is not valid.",
        ) from error
    answer: dict[str, Any] = {name: list(shown)}
    return answer if more is None else {**answer, "NextToken": more}
