"""The part of `fake_aws.FakeSageMaker` that has to do with models, configurations and endpoints."""

from __future__ import annotations

from typing import Any

from ops.refusal import refusal


class FakeHosting:
    """Endpoints come up, change and go the second time that somebody looks; with fail_endpoints
    they do not pass their health checks."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.fail_endpoints = False

    def create_model(self, **request: Any) -> None:
        self._put("model", self.models, request["ModelName"], request)

    def describe_model(self, *, ModelName: str) -> dict[str, Any]:
        return self._get("model", self.models, ModelName)

    def list_models(self, *, NameContains: str) -> dict[str, Any]:
        return {"Models": self._summaries("Model", "model", self.models, NameContains)}

    def delete_model(self, *, ModelName: str) -> None:
        del self.models[ModelName]

    def create_endpoint_config(self, **request: Any) -> None:
        self._put("endpoint-config", self.configs, request["EndpointConfigName"], request)

    def describe_endpoint_config(self, *, EndpointConfigName: str) -> dict[str, Any]:
        return self._get("endpoint-config", self.configs, EndpointConfigName)

    def list_endpoint_configs(self, *, NameContains: str) -> dict[str, Any]:
        return {
            "EndpointConfigs": self._summaries(
                "EndpointConfig", "endpoint-config", self.configs, NameContains
            )
        }

    def delete_endpoint_config(self, *, EndpointConfigName: str) -> None:
        del self.configs[EndpointConfigName]

    def create_endpoint(self, **request: Any) -> None:
        endpoint = {
            **request,
            "serving": request["EndpointConfigName"],
            "status": "Creating",
            "looks": 0,
        }
        self._put("endpoint", self.endpoints, request["EndpointName"], endpoint)

    def update_endpoint(
        self,
        *,
        EndpointName: str,
        EndpointConfigName: str,
        RetainAllVariantProperties: bool = False,
        DeploymentConfig: dict[str, Any] | None = None,
    ) -> None:
        endpoint = self.endpoints[EndpointName]
        if endpoint["status"] != "InService":
            raise refusal("UpdateEndpoint", "ValidationException", "Cannot update in-progress")
        endpoint.update(pending=EndpointConfigName, status="Updating", looks=0)

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:
        endpoint = self._get("endpoint", self.endpoints, EndpointName)
        answer = {
            "EndpointStatus": endpoint["status"],
            "EndpointConfigName": endpoint["serving"],
        }
        if endpoint["status"] == "Updating":
            answer["PendingDeploymentSummary"] = {"EndpointConfigName": endpoint["pending"]}
        if endpoint.get("reason"):
            answer["FailureReason"] = endpoint["reason"]
        endpoint["looks"] += 1
        if endpoint["looks"] >= 2:
            self._arrive(EndpointName, endpoint)
        return answer

    def _arrive(self, name: str, endpoint: dict[str, Any]) -> None:
        if endpoint["status"] == "Deleting":
            del self.endpoints[name]
        elif endpoint["status"] in ("Creating", "Updating"):
            if self.fail_endpoints:
                endpoint["reason"] = "did not pass the ping health check"
                endpoint["status"] = "InService" if endpoint["status"] == "Updating" else "Failed"
            else:
                endpoint["status"] = "InService"
                endpoint["serving"] = endpoint.pop("pending", endpoint["serving"])

    def list_endpoints(self, *, NameContains: str = "") -> dict[str, Any]:
        return {"Endpoints": self._summaries("Endpoint", "endpoint", self.endpoints, NameContains)}

    def delete_endpoint(self, *, EndpointName: str) -> None:
        endpoint = self.endpoints[EndpointName]
        if endpoint["status"] not in ("InService", "Failed"):
            raise refusal("DeleteEndpoint", "ValidationException", "Cannot update in-progress")
        endpoint.update(status="Deleting", looks=0)

    def _put(self, kind: str, where: dict[str, Any], name: str, value: dict[str, Any]) -> None:
        if name in where:
            raise refusal("Create", "ValidationException", f"Cannot create already existing {kind}")
        where[name] = value

    def _get(self, kind: str, where: dict[str, Any], name: str) -> dict[str, Any]:
        if name not in where:
            raise refusal("Describe", "ValidationException", f"Could not find {kind} {name}.")
        found: dict[str, Any] = where[name]
        return found

    def _summaries(
        self, member: str, kind: str, where: dict[str, Any], contained: str
    ) -> list[dict[str, str]]:
        return [
            {f"{member}Name": name, f"{member}Arn": f"arn:aws:sagemaker:r:a:{kind}/{name}"}
            for name in where
            if contained in name
        ]
