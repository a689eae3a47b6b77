"""What a client's environment must say so that its calls reach the cloud: variables and a file.

In: a running cloud, its credentials, the environment of a person's shell. Out: the variables of
`fogbank env`, and the whole environment of a command that `fogbank run` starts.

The SageMaker SDKs name the STS host themselves, so that no variable of AWS's leads their calls
elsewhere; and they report usage to a bucket of AWS's. `fogbank env` names the default bucket
beforehand, for which they otherwise ask STS. `fogbank run` puts a proxy in their way that answers
for every host of AWS (`aws_proxy`), so there nothing has to be named.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fogbank.aws import Credentials
from fogbank.core.errors import WorldError
from fogbank.ops.local_cloud import RunningCloud, environment, variables

PROXY_START_LIMIT_S = 60
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CERTIFICATE_VARIABLES = (
    "AWS_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)
_PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY")
_ALL_PROXY_VARIABLES = (*_PROXY_VARIABLES, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyFacts:
    """Where an `aws_proxy` answers, and the certificates that a client has to trust there."""

    port: int
    ca_bundle: Path


def default_bucket(running: RunningCloud) -> str:
    """The bucket that the SageMaker SDKs make for themselves."""
    return f"sagemaker-{running.region}-{running.account}"


def write_sdk_defaults(file: Path, *, bucket: str | None = None) -> None:
    """The SageMaker SDKs' defaults of an administrator: no telemetry; and their default bucket.

    A person's own file goes before it. Source: SageMaker Python SDK, "Configuring and using
    defaults with the SageMaker Python SDK".
    """
    modules: dict[str, object] = {"TelemetryOptOut": True}
    if bucket is not None:
        modules["Session"] = {"DefaultS3Bucket": bucket}
    document = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": modules}}}
    file.parent.mkdir(parents=True, exist_ok=True)
    # JSON is YAML. Written aside and renamed: a client may be reading it.
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(document, indent=2) + "\n")
    temporary.replace(file)


def shell_variables(running: RunningCloud, credentials: Credentials) -> dict[str, str]:
    """What plain variables can do: those of `fogbank env`.

    With them `Session().default_bucket()` of the SageMaker SDKs reaches the cloud and nothing is
    reported to AWS. Their get_execution_role() still asks the real STS: that takes `fogbank run`.
    """
    file = running.home / "clients" / "sagemaker-env.yaml"
    write_sdk_defaults(file, bucket=default_bucket(running))
    return {**variables(running, credentials), "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(file)}


def start_proxy(running: RunningCloud, process: int, *, network: bool) -> ProxyFacts:
    """Start the proxy of that process; it ends when the process ends. Raises WorldError."""
    command = [
        *(sys.executable, "-m", "fogbank.ops.aws_proxy"),
        *("--cloud-port", str(running.port)),
        *("--process", str(process)),
        *("--log", str(running.home / "run.log")),
        *(("--network",) if network else ()),
    ]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PROXY_START_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise WorldError(f"the proxy did not start within {error.timeout:g} s") from error
    if ended.returncode != 0:
        raise WorldError(f"the proxy did not start:\n{ended.stderr.strip()}")
    facts = json.loads(ended.stdout)
    return ProxyFacts(port=facts["port"], ca_bundle=Path(facts["ca_bundle"]))


def command_environment(
    outer: Mapping[str, str],
    running: RunningCloud,
    credentials: Credentials,
    proxy: ProxyFacts,
    *,
    network: bool,
) -> dict[str, str]:
    """The whole environment of a command, all of whose calls to AWS shall reach the cloud.

    network: leave a way to hosts outside AWS; without it there is none for clients that obey
    HTTP_PROXY and HTTPS_PROXY.
    """
    file = running.home / "clients" / "sagemaker-run.yaml"
    write_sdk_defaults(file)
    found = environment(outer, variables(running, credentials))
    address = f"http://127.0.0.1:{proxy.port}"
    found |= dict.fromkeys(_PROXY_VARIABLES if network else _ALL_PROXY_VARIABLES, address)
    # Exceptions that were made for the network outside might well name hosts of AWS.
    found |= dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(_LOOPBACK))
    found |= dict.fromkeys(_CERTIFICATE_VARIABLES, str(proxy.ca_bundle))
    return {**found, "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(file)}
