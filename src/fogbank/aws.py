"""The only place that builds boto3 clients, and the only one that reads botocore's exceptions.

Comes in: where the cloud answers, a region, credentials. Goes out: clients with one policy for
retries and timeouts, and errors that say what was tried, what went wrong and what to do next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fogbank.core.errors import WorldError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sts import STSClient

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60
RUNTIME_READ_TIMEOUT_S = 70
"""SageMaker gives a container 60 s for an answer; the client waits a little longer, so that it
gets to read what went wrong (API reference, InvokeEndpoint)."""

LAMBDA_READ_TIMEOUT_S = 910
"""A function may take 900 s (Lambda quotas). Who gives up before gives up on a call that goes on,
and a retry makes it two."""

NUM_ATTEMPTS = 2
NUM_CONNECTIONS = 32

_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden", "403"}
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN_KEY = frozenset(
    {
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "InvalidSignatureException",
    }
)
_MISSING = frozenset(
    {
        "404",
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchKey",
        "NoSuchTagSet",
        "NoSuchPublicAccessBlockConfiguration",
        "NotFound",
        "ProvisionedConcurrencyConfigNotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
    }
)
_MISSING_WORDS = ("Could not find", "Requested resource not found", "does not exist")
"""SageMaker has no code for it: ValidationException and these words."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A key pair, and the token of the session that it belongs to, if any."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def boto3_session(credentials: Credentials, region: str) -> Any:
    """A boto3 session (`Any`, as its clients) that shares with all others of this process what is
    known of the services: to read that takes 0.1 s for each service."""
    from boto3.session import Session as Boto3Session
    from botocore.session import Session

    session = Session()
    session.register_component("data_loader", _service_models())
    return Boto3Session(
        botocore_session=session,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        region_name=region,
    )


@cache
def _service_models() -> Any:
    from botocore.session import Session

    return Session().get_component("data_loader")


class Aws:
    """Clients of one cloud, for one identity, in one region; each made once, on first use.

    url: where the cloud answers. account: whose account it is (12 digits).
    """

    def __init__(self, *, url: str, account: str, region: str, credentials: Credentials) -> None:
        self.url = url
        self.account = account
        self.region = region
        self._credentials = credentials
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """The boto3 client of a service (`Any`: its methods are made at run time). Threads may
        share it; making one is not safe in threads, hence the lock."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._build(service)
            return self._clients[service]

    def _build(self, service: str) -> Any:
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "total_max_attempts": NUM_ATTEMPTS},
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=_read_timeout_s(service),
            max_pool_connections=NUM_CONNECTIONS,
            s3={"addressing_style": "path"},
        )
        return self._session.client(service, endpoint_url=self.url, config=config)

    def signed_headers(
        self, service: str, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> dict[str, str]:
        """The headers of a request that somebody else sends, Signature Version 4 among them.
        service: the name that it is signed for. Boto3 would send one request a thread."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials as Keys

        keys = self._credentials
        request = AWSRequest(method=method, url=url, headers=headers, data=body)
        SigV4Auth(
            Keys(keys.access_key_id, keys.secret_access_key, keys.session_token),
            service,
            self.region,
        ).add_auth(request)
        return dict(request.headers.items())

    @cached_property
    def _session(self) -> Any:
        return boto3_session(self._credentials, self.region)

    @property
    def s3(self) -> S3Client:
        return cast("S3Client", self.client("s3"))

    @property
    def iam(self) -> IAMClient:
        return cast("IAMClient", self.client("iam"))

    @property
    def sts(self) -> STSClient:
        return cast("STSClient", self.client("sts"))

    @property
    def lambda_(self) -> LambdaClient:
        return cast("LambdaClient", self.client("lambda"))

    @property
    def cloudwatch(self) -> CloudWatchClient:
        return cast("CloudWatchClient", self.client("cloudwatch"))

    @property
    def logs(self) -> CloudWatchLogsClient:
        return cast("CloudWatchLogsClient", self.client("logs"))

    @property
    def sagemaker(self) -> SageMakerClient:
        return cast("SageMakerClient", self.client("sagemaker"))

    @property
    def runtime(self) -> SageMakerRuntimeClient:
        return cast("SageMakerRuntimeClient", self.client("sagemaker-runtime"))


def _read_timeout_s(service: str) -> int:
    if service == "lambda":
        return LAMBDA_READ_TIMEOUT_S
    return RUNTIME_READ_TIMEOUT_S if service.endswith("runtime") else READ_TIMEOUT_S


def error_code(error: Exception) -> str:
    """The code of a botocore ClientError; "" for anything else."""
    answer = getattr(error, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""


def error_message(error: Exception) -> str:
    """The message of a botocore ClientError, else the error's own text."""
    answer = getattr(error, "response", None)
    message = answer.get("Error", {}).get("Message") if isinstance(answer, dict) else None
    return str(message or error)


def is_missing(error: Exception) -> bool:
    """Whether AWS answered that the thing does not exist."""
    code = error_code(error)
    return code in _MISSING or (
        code in ("ValidationException", "ValidationError")
        and any(words in error_message(error) for words in _MISSING_WORDS)
    )


Answer = TypeVar("Answer")


def existing(describe: Callable[..., Answer], **parameters: Any) -> Answer | None:
    """What a describe, get or head operation answers; None where the thing does not exist."""
    from botocore.exceptions import ClientError

    try:
        return describe(**parameters)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


@contextmanager
def explained(doing: str, url: str) -> Iterator[None]:
    """Turns botocore's exceptions into WorldError. doing: "create the bucket dogs"."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
    )

    try:
        yield
    except ClientError as error:
        raise WorldError(f"could not {doing}: {_answer(error)}") from error
    except (ConnectionError, HTTPClientError) as error:
        raise WorldError(
            f"could not {doing}: the cloud at {url} does not answer ({error}). "
            "`fogbank cloud status` says whether it runs, `fogbank cloud start` starts it; then "
            "give the same command again."
        ) from error
    except BotoCoreError as error:
        raise WorldError(f"could not {doing}: {error}") from error


def _answer(error: Exception) -> str:
    code, message = error_code(error), error_message(error)
    operation = getattr(error, "operation_name", "the call")
    if code in _DENIED:
        advice = " Give the identity that you use this permission, or use another identity."
    elif code in _EXPIRED:
        advice = (
            ' The session has ended: give the command again, or `eval "$(fogbank env)"` for a '
            "new one."
        )
    elif code in _UNKNOWN_KEY:
        advice = (
            " The credentials are of another cloud or account: check FOGBANK_HOME and --home, "
            "which say whose credentials are used."
        )
    else:
        advice = ""
    return f"{operation} answered {code or 'an error'}: {message}{advice}"
