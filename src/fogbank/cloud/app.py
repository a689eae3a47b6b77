"""The composition root: the one file that knows every concrete class.

`build` puts a cloud together on one folder; `Cloud.start` takes up what an earlier run left,
`Cloud.stop` puts everything away.

    <home>/credentials.json   keys of root and of the notebook role's session (0600)
    <home>/records.db         what exists          <home>/telemetry.db  metrics and the trail
    <home>/s3/  <home>/logs/  contents of objects and of log streams
    <home>/functions/         zips of functions and layers
    <home>/instances/         folders of running instances
    <home>/torch/             pretrained weights that jobs and endpoints share
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from fogbank.cloud.authentication import Authenticator
from fogbank.cloud.codec.model import service_model
from fogbank.cloud.context import Request, Response
from fogbank.cloud.doors import Door
from fogbank.cloud.doors.code_downloads import CodeDownloads
from fogbank.cloud.doors.function_urls import FunctionUrlDoor
from fogbank.cloud.gateway import Gateway, new_request_id
from fogbank.cloud.machines.alarms import AlarmEvaluation
from fogbank.cloud.machines.autoscaling import AutoScaling
from fogbank.cloud.machines.choice import choose_engine
from fogbank.cloud.machines.endpoint_metrics import EndpointMetrics
from fogbank.cloud.machines.functions.functions import Functions
from fogbank.cloud.machines.hosting import Endpoints
from fogbank.cloud.machines.image_map import ImageMap
from fogbank.cloud.machines.instance_supply import InstanceSupply
from fogbank.cloud.machines.placement import choose
from fogbank.cloud.machines.process import ProcessEngine
from fogbank.cloud.machines.router import Router
from fogbank.cloud.machines.scalable_resources import Resources
from fogbank.cloud.machines.search import OptunaSampler, optuna_is_installed
from fogbank.cloud.machines.shares import Shares, this_host
from fogbank.cloud.machines.site import Site
from fogbank.cloud.machines.training import TrainingJobs
from fogbank.cloud.machines.tuning import TuningJobs
from fogbank.cloud.ports import Keyring
from fogbank.cloud.records.function import FunctionVersion, LayerVersion
from fogbank.cloud.records.iam import Role
from fogbank.cloud.records.identity import AccessKey
from fogbank.cloud.rules.authorization import root_and_role_sessions
from fogbank.cloud.rules.endpoint_quota import InstanceCounts
from fogbank.cloud.rules.trust import trusts_service
from fogbank.cloud.services import (
    application_autoscaling,
    lambda_,
    s3,
    sagemaker,
    service_quotas,
)
from fogbank.cloud.services.base import Handler, dispatch_table
from fogbank.cloud.services.cloudwatch import service as cloudwatch
from fogbank.cloud.services.iam import service as iam
from fogbank.cloud.services.iam.bootstrap import ensure_notebook_role
from fogbank.cloud.services.lambda_.downloads import DownloadLinks
from fogbank.cloud.services.logs import service as logs
from fogbank.cloud.services.sagemaker_runtime.invoke import EndpointInvocations
from fogbank.cloud.services.sts import service as sts
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.function_code import FunctionCodeStore
from fogbank.cloud.state.keyring import RecordsKeyring
from fogbank.cloud.state.log_store import LogStore
from fogbank.cloud.state.metric_store import MetricStore, standard_step_s
from fogbank.cloud.state.objects import ObjectStore
from fogbank.cloud.state.records import SqliteRecords
from fogbank.cloud.state.trail import Trail
from fogbank.core.arn import Scope
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.cloud")

FLUSH_EVERY_S = 1.0
INSTANCE_TYPES = "ProductionVariantInstanceType"
"""The shape of SageMaker's model that lists what an endpoint can have."""
NOTEBOOK_SESSION = timedelta(days=30)
"""How long the credentials of `fogbank env` last at least half of; made anew at a start."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """host, port: where to listen; port 0 takes a free one.
    engine: what runs instances, see `machines.choice`.
    time_scale: how many times faster than real time metric periods, alarms and cooldowns pass.
    function_concurrency: executions of functions that the account may have at once.
    function_idle_s: how long an execution environment may have nothing to do before it is ended.
    endpoint_quota: instances by type that the account's endpoints may have.
    endpoint_capacity: instances by type that there are for endpoints: a shortage, as a drill.
    instance_start_s: seconds until an endpoint's new instance is there; on AWS some minutes."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 4566
    engine: str = "auto"
    time_scale: float = 1.0
    function_concurrency: int = 1000
    function_idle_s: float = 300.0
    endpoint_quota: InstanceCounts = field(default_factory=InstanceCounts)
    endpoint_capacity: InstanceCounts = field(default_factory=InstanceCounts)
    instance_start_s: float = 0.0
    scope: Scope = field(default_factory=Scope)
    version: str = field(default_factory=lambda: version("fogbank"))

    @property
    def url(self) -> str:
        """Where clients on this host find the cloud."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104 - only compared
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def on_port(self, port: int) -> Settings:
        return replace(self, port=port)


class Cloud:
    """A cloud that has been put together."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        doors: Sequence[Door],
        training: TrainingJobs,
        tuning: TuningJobs,
        hosting: Endpoints,
        endpoint_metrics: EndpointMetrics,
        functions: Functions,
        alarms: AlarmEvaluation,
        scaling: AutoScaling,
        engine: ProcessEngine,
        engine_reason: str,
        flush: Callable[[], None],
        close: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.gateway = gateway
        self._doors = tuple(doors)
        self.engine_name = engine.name
        self.engine_reason = engine_reason
        self._training = training
        self._tuning = tuning
        self._hosting = hosting
        self._endpoint_metrics = endpoint_metrics
        self._functions = functions
        self._alarms = alarms
        self._scaling = scaling
        self._engine = engine
        self._flush = flush
        self._close = close
        self._clock = clock
        self._flushing: asyncio.Task[None] | None = None

    async def handle(self, request: Request) -> Response:
        """Answer a request: a door that takes it, or else the gateway. Never raises."""
        for door in self._doors:
            if door.takes(request):
                return await door.handle(request)
        return await self.gateway.handle(request)

    async def start(self) -> None:
        """Take up jobs, endpoints and functions where an earlier run left them."""
        self._flushing = asyncio.create_task(self._flush_regularly(), name="flush")
        await self._hosting.start()
        await self._training.start()
        await self._tuning.start()
        await self._functions.start()
        self._endpoint_metrics.start()
        self._alarms.start()
        self._scaling.start()

    async def stop(self) -> None:
        """End every instance, write what is in memory, close the files."""
        await self._scaling.stop()
        await self._alarms.stop()
        await self._endpoint_metrics.stop()
        await self._tuning.stop()
        await asyncio.gather(self._training.stop(), self._hosting.stop(), self._functions.stop())
        await self._engine.stop()
        if self._flushing is not None:
            self._flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flushing
        self._flush()
        self._close()

    async def _flush_regularly(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_EVERY_S)
            try:
                self._flush()
            except Exception:  # a full disk must not end the flushing for good
                log.exception("metrics and the trail could not be written")


async def build(settings: Settings, clock: Clock) -> Cloud:
    """Open the folder (made where it is missing) and put the cloud together."""
    home, scope = settings.home, settings.scope
    for name in ("s3", "logs", "instances", "torch", "overlays"):
        (home / name).mkdir(parents=True, exist_ok=True)
    database = Database(home / "records.db")
    telemetry = Database(home / "telemetry.db", schema="telemetry", synchronous="NORMAL")
    records = SqliteRecords(database)
    keyring = RecordsKeyring(records, scope)
    objects = ObjectStore(database, records, home / "s3", clock)
    log_store = LogStore(home / "logs", records, scope, clock)
    metrics = MetricStore(telemetry, clock, standard_step_s=standard_step_s(settings.time_scale))
    trail = Trail(telemetry)

    role = ensure_notebook_role(records, scope, clock.now())
    _write_credentials(home, keyring, keyring.ensure_root_key(clock.now()), role, clock)

    engine, engine_reason = await choose_engine(
        settings.engine, clock, os.environ, home / "instances"
    )
    strategy, strategy_reason = choose(can_mount=engine.can_mount, folder=home / "instances")
    site = Site(
        engine=engine,
        objects=objects,
        logs=log_store,
        keyring=keyring,
        clock=clock,
        # Clouds that run side by side give their instances addresses of different networks.
        shares=Shares(this_host(), network=settings.port),
        images=ImageMap(search_path=os.environ.get("PATH", os.defpath)),
        home=home,
        endpoint_url=settings.url,
        scope=scope,
        strategy=strategy,
    )
    router = Router(metrics, clock)
    code = FunctionCodeStore(home / "functions")
    code.sweep(
        {version.code_sha256 for version in records.all(FunctionVersion)}
        | {layer.code_sha256 for layer in records.all(LayerVersion)}
    )
    functions = Functions(
        records,
        metrics,
        code,
        site,
        role_exists=lambda arn: any(role.arn == arn for role in records.all(Role)),
        account_limit=settings.function_concurrency,
        idle_limit_s=settings.function_idle_s,
        time_scale=settings.time_scale,
    )
    caller = lambda_.caller(records, scope, functions, random.random)
    links = DownloadLinks(code, settings.url)
    resources = Resources(records, settings.endpoint_quota)
    alarms = AlarmEvaluation(records, metrics, clock, time_scale=settings.time_scale)
    rooms: Mapping[str, Sequence[object]] = {
        "sts": sts.rooms(records, keyring),
        "iam": iam.rooms(records, keyring, scope),
        "s3": s3.rooms(records, objects, scope, clock),
        "lambda": lambda_.rooms(
            records=records,
            scope=scope,
            objects=objects,
            code=code,
            caller=caller,
            links=links,
            role_trusts=lambda arn: any(
                role.arn == arn and trusts_service(role.trust_policy, "lambda.amazonaws.com")
                for role in records.all(Role)
            ),
            account_concurrency=settings.function_concurrency,
            endpoint_url=settings.url,
        ),
        "logs": logs.rooms(records, log_store, scope),
        "cloudwatch": cloudwatch.rooms(metrics, records, scope),
        "application-autoscaling": application_autoscaling.rooms(records, scope, resources.desired),
        "sagemaker": sagemaker.rooms(
            records=records,
            scope=scope,
            objects=objects,
            role_exists=lambda arn: any(role.arn == arn for role in records.all(Role)),
            search_model_exists=optuna_is_installed,
            endpoint_quota=settings.endpoint_quota,
        ),
        "service-quotas": service_quotas.rooms(
            scope=scope,
            endpoint_quota=settings.endpoint_quota,
            instance_types=service_model("sagemaker").shape_for(INSTANCE_TYPES).metadata["enum"],
            function_concurrency=settings.function_concurrency,
        ),
        "sagemaker-runtime": (EndpointInvocations(invoker=router, records=records, scope=scope),),
    }
    services: dict[str, Mapping[str, Handler]] = {
        name: dispatch_table(service_model(name).operation_names, found)
        for name, found in rooms.items()
    }

    def flush() -> None:
        metrics.flush()
        trail.flush()

    def close() -> None:
        objects.close()
        telemetry.close()
        database.close()

    authenticator = Authenticator(keyring, scope)
    training = TrainingJobs(records, metrics, site)
    return Cloud(
        gateway=Gateway(
            services=services,
            authenticator=authenticator,
            authorizer=root_and_role_sessions,
            trail=trail,
            clock=clock,
        ),
        doors=(
            FunctionUrlDoor(
                records=records,
                caller=caller,
                authenticator=authenticator,
                authorizer=root_and_role_sessions,
                trail=trail,
                new_request_id=new_request_id,
                clock=clock,
            ),
            CodeDownloads(links, clock),
        ),
        training=training,
        tuning=TuningJobs(records, OptunaSampler(), training, scope, clock),
        hosting=Endpoints(
            records,
            router,
            site,
            InstanceSupply(
                settings.endpoint_capacity,
                start_s=settings.instance_start_s,
                time_scale=settings.time_scale,
            ),
        ),
        endpoint_metrics=EndpointMetrics(
            records,
            metrics,
            router.fleet,
            router.meter,
            clock,
            time_scale=settings.time_scale,
        ),
        functions=functions,
        alarms=alarms,
        scaling=AutoScaling(records, resources, alarms, clock, time_scale=settings.time_scale),
        engine=engine,
        engine_reason=f"{engine_reason}; channels: {strategy} ({strategy_reason})",
        flush=flush,
        close=close,
        clock=clock,
    )


def _write_credentials(
    home: Path, keyring: Keyring, root: AccessKey, role: Role, clock: Clock
) -> None:
    """Make `<home>/credentials.json`, from which `fogbank env` takes its variables.

    The session of an earlier start is kept while more than half of its time is left: shells that
    use it go on working across restarts.
    """
    path = home / "credentials.json"
    now = clock.now()
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
        kept = json.loads(path.read_text())
        key = keyring.find(kept["notebook"]["AccessKeyId"])
        if key and key.expires and key.expires - now > NOTEBOOK_SESSION / 2:
            return
    session = keyring.issue_role_session(
        role.arn, "fogbank", duration_s=int(NOTEBOOK_SESSION.total_seconds()), now=now
    )
    document = {
        "root": {
            "AccessKeyId": root.access_key_id,
            "SecretAccessKey": root.secret_access_key,
        },
        "notebook": {
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": session.expires.isoformat(),
            "RoleArn": role.arn,
        },
    }
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(document, indent=2) + "\n")
    temporary.replace(path)
