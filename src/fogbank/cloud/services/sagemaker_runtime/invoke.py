"""InvokeEndpoint: a body to a container and its answer back.

The hot path: no record is read unless something has gone wrong. Sources: API reference,
InvokeEndpoint; the message texts are those that public records of real accounts show.
"""

from __future__ import annotations

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import (
    Invocation,
    InvocationResult,
    InvocationTimeout,
    Invoker,
    NoAnswer,
    NoCapacity,
    Records,
)
from fogbank.cloud.records.hosting import Endpoint
from fogbank.cloud.services.base import operation
from fogbank.core.arn import Scope

MAX_BODY_BYTES = 6 * 1024 * 1024
"""The model's limit of a request body: 6,291,456 bytes."""

MESSAGE_CHARS = 2048
"""The longest Message and OriginalMessage that the model allows."""

CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"

TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)

BROKE_OFF = (
    "Amazon SageMaker could not get a response from the {endpoint} endpoint. This can occur when "
    "CPU or memory utilization is high. To check your utilization, see Amazon CloudWatch. To fix "
    "this problem, use an instance type with more CPU capacity or memory."
)

_HEADERS = (
    ("ContentType", "content-type"),
    ("Accept", "accept"),
    ("CustomAttributes", CUSTOM_ATTRIBUTES),
    ("InferenceId", "x-amzn-sagemaker-inference-id"),
)
"""Members of the input that the container sees, and the headers that carry them."""

_UNSUPPORTED = frozenset(
    {
        "TargetModel",
        "TargetContainerHostname",
        "InferenceComponentName",
        "SessionId",
        "EnableExplanations",
        "PrefixAwareId",
    }
)


class EndpointInvocations:
    """invoker: the router of the data plane. records: read only to explain a refusal."""

    def __init__(self, *, invoker: Invoker, records: Records, scope: Scope) -> None:
        self._invoker = invoker
        self._records = records
        self._scope = scope

    @operation("InvokeEndpoint")
    async def invoke(self, context: Context, params: Params) -> Result:
        """Raises ModelError for what the container did wrong: 424, with its status and message."""
        endpoint: str = params["EndpointName"]
        body: bytes = params["Body"]
        if len(body) > MAX_BODY_BYTES:
            raise _too_large(len(body))
        if not _UNSUPPORTED.isdisjoint(params):
            given = ", ".join(sorted(_UNSUPPORTED.intersection(params)))
            raise _validation_error(f"Fogbank does not support {given} in InvokeEndpoint yet.")
        headers = {header: params[member] for member, header in _HEADERS if params.get(member)}
        for value in headers.values():
            if not (value.isascii() and value.isprintable()):
                raise _validation_error("Header values must consist of visible US-ASCII characters")
        invocation = Invocation(endpoint, body, headers, params.get("TargetVariant") or None)
        try:
            answer = await self._invoker.invoke(invocation)
        except InvocationTimeout as error:
            raise self._model_error(endpoint, 0, "server", TIMED_OUT) from error
        except NoAnswer as error:
            text = BROKE_OFF.format(endpoint=endpoint)
            raise self._model_error(endpoint, 0, "server", text) from error
        except NoCapacity as error:
            raise ServiceError(
                "ServiceUnavailable",
                f"The service is unavailable: endpoint {endpoint} cannot take the request now "
                f"({error}). Try your call again.",
                status=503,
            ) from error
        except LookupError as error:
            raise self._not_found(invocation) from error
        if not 200 <= answer.status < 300:
            side = "client" if 400 <= answer.status < 500 else "server"
            text = answer.body.decode("utf-8", "replace")
            raise self._model_error(endpoint, answer.status, side, text)
        return _result(answer)

    def _model_error(self, endpoint: str, status: int, side: str, original: str) -> ServiceError:
        region, group = self._scope.region, f"/aws/sagemaker/Endpoints/{endpoint}"
        head = f'Received {side} error ({status}) from primary with message "'
        tail = (
            f'". See https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}'
            f"#logEventViewer:group={group} in account {self._scope.account} for more information."
        )
        shown = original[: MESSAGE_CHARS - len(head) - len(tail)]
        return ServiceError(
            "ModelError",
            f"{head}{shown}{tail}",
            status=424,
            fields={
                "OriginalStatusCode": status,
                "OriginalMessage": original[:MESSAGE_CHARS],
                "LogStreamArn": self._scope.arn("logs", f"log-group:{group}"),
            },
        )

    def _not_found(self, invocation: Invocation) -> ServiceError:
        """An endpoint that is not in service yet is "not found", as on AWS."""
        endpoint = self._records.get(Endpoint, invocation.endpoint)
        if endpoint is not None and endpoint.variants and invocation.target_variant:
            return _validation_error(
                f"Variant {invocation.target_variant} not found for endpoint {endpoint.name} of "
                f"account {self._scope.account}."
            )
        return _validation_error(
            f"Endpoint {invocation.endpoint} of account {self._scope.account} not found."
        )


def _result(answer: InvocationResult) -> Result:
    result = {
        "Body": answer.body,
        "ContentType": answer.headers.get("content-type", "application/octet-stream"),
        "InvokedProductionVariant": answer.variant,
    }
    if CUSTOM_ATTRIBUTES in answer.headers:
        result["CustomAttributes"] = answer.headers[CUSTOM_ATTRIBUTES]
    return result


def _validation_error(message: str) -> ServiceError:
    return ServiceError("ValidationError", message, status=400)


def _too_large(size_bytes: int) -> ServiceError:
    # AWS refuses this before the service sees it: the status is all the code there is.
    return ServiceError(
        "413",
        f"HTTP content length exceeded {MAX_BODY_BYTES} bytes: the body has {size_bytes}.",
        status=413,
    )
