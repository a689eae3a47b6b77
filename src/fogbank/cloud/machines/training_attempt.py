"""One attempt of a training job: its folders, its instances, its output.

In: a TrainingJob and the action that the rule (`rules.training_job`) wants now. Out: an
Observation for the rule. The attempt decides nothing; it makes true what it is told, one effect
at a time, and says what it sees.

    <home>/instances/training/<job>/
        algo-1/process.json        the engine's record
        algo-1/ml/                 what the program knows as /opt/ml, and all of it that it sees
        channels/algo-1/<channel>/ links to objects and the overlay's scratch (strategy `mount`)
        staging/                   archives on their way to S3
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from fogbank.cloud.machines import channels, meeting, nofollow, opt_ml, placement
from fogbank.cloud.machines.archive import ArchiveError
from fogbank.cloud.machines.channels import ChannelError, S3Location
from fogbank.cloud.machines.checkpoints import Checkpoints
from fogbank.cloud.machines.engine import Bind, EngineError, Instance, InstanceSpec, View
from fogbank.cloud.machines.image_versions import version_note
from fogbank.cloud.machines.log_capture import LogCapture
from fogbank.cloud.machines.meeting import Meeting
from fogbank.cloud.machines.metric_capture import MetricCapture
from fogbank.cloud.machines.process_group import GroupWatch
from fogbank.cloud.machines.shares import Lease, demand_of
from fogbank.cloud.machines.site import Site
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.machines.training_output import TrainingOutput, Tree
from fogbank.cloud.ports import StoredObject
from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.rules import distribution
from fogbank.cloud.rules.instance_exit import FAILURE_REASON_CHARS, InstanceExit
from fogbank.cloud.rules.training_job import GRACE_S, Action, Observation, max_runtime_s

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
TRAINING_IMAGE = "fogbank.images.training"
_BASE = "ml"
_SESSION_NAME = "SageMaker"
_SESSION_RESERVE_S = 3600
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FAILURE_BYTES = 4 * FAILURE_REASON_CHARS


@dataclass(slots=True)
class _Host:
    """One instance. instance: None until its program was started."""

    number: int
    folder: Path
    lease: Lease
    capture: LogCapture
    views: list[View] = field(default_factory=list)
    instance: Instance | None = None
    watch: asyncio.Task[None] | None = None
    ended: bool = False

    @property
    def name(self) -> str:
        return opt_ml.host_name(self.number)

    @property
    def base(self) -> Path:
        return self.folder / _BASE


class Attempt:
    """changed: called whenever the observation is another. host_restarted: see Observation."""

    def __init__(
        self,
        job: TrainingJob,
        site: Site,
        metrics: MetricCapture,
        changed: Callable[[], None],
        *,
        host_restarted: bool,
    ) -> None:
        self._job = job
        self._site = site
        self._metrics = metrics
        self._changed = changed
        self._host_restarted = host_restarted
        self.folder = site.training_root / job.name
        self._staging = self.folder / "staging"
        self._folders = [
            self.folder / opt_ml.host_name(number) for number in range(job.instance_count)
        ]
        self._trees: list[Tree] = [(folder, (_BASE,)) for folder in self._folders]
        self._output = TrainingOutput(self._trees, self._staging, site.objects, self._say)
        self._hosts: list[_Host] = []
        self._effect: asyncio.Task[None] | None = None
        self._effect_action: Action | None = None
        self._signals: set[asyncio.Task[object]] = set()
        self._checkpoints: Checkpoints | None = None
        self._checkpoint_task: asyncio.Task[None] | None = None
        self._meeting: Meeting | None = None
        self._group: GroupWatch | None = None
        self._group_task: asyncio.Task[None] | None = None
        self._billed_from: datetime | None = None
        self._warning = ""
        self._prepared = self._downloaded = self._uploaded = False
        self._exits: list[InstanceExit] = []
        self._terminated: datetime | None = None
        self._client_error: str | None = None
        self._internal_error: str | None = None

    # -- what is seen -----------------------------------------------------------------------------

    @property
    def _running(self) -> list[_Host]:
        return [host for host in self._hosts if host.instance is not None and not host.ended]

    @property
    def _num_starting(self) -> int:
        """Instances that are about to run: one may end before the next has been started."""
        starting = self._effect_action == "run" and self._effect and not self._effect.done()
        return sum(host.instance is None for host in self._hosts) if starting else 0

    def observe(self) -> Observation:
        """What the rule needs to know now. Raises what an effect died of, where that is a bug."""
        if self._effect is not None and self._effect.done() and not self._effect.cancelled():
            self._effect.result()
        running = len(self._running) + self._num_starting
        return Observation(
            prepared=self._prepared,
            downloaded=self._downloaded,
            running=running,
            exits=tuple(self._exits),
            terminated=self._terminated,
            has_model=running == 0 and self._output.has("model"),
            uploaded=self._uploaded,
            warning=self._warning,
            client_error=self._client_error,
            internal_error=self._internal_error,
            host_restarted=self._host_restarted,
        )

    # -- what is done -----------------------------------------------------------------------------

    async def act(self, action: Action, *, with_model: bool = False) -> None:
        """Begin to make it true; what is under way already goes on. Returns at once, except that an
        effect of another kind is ended first."""
        match action:
            case "prepare":
                await self._begin(action, self._prepare)
            case "download":
                await self._begin(action, self._download)
            case "run":
                await self._begin(action, self._run)
            case "upload":
                await self._begin(action, lambda: self._upload(with_model))
            case "terminate":
                await self._end_effect()  # whoever was not started yet will not be
                if self._running:
                    self._terminated = self._site.clock.now()
                for host in self._running:
                    assert host.instance is not None
                    # The rule asks for `kill` when GRACE_S has passed; this is the safety net.
                    self._signal(host.instance.terminate(GRACE_S))
            case "kill":
                for host in self._running:
                    assert host.instance is not None
                    self._signal(host.instance.kill())
            case "wait":
                pass
            case "restart" | "release":
                raise RuntimeError(f"{action} is not for an attempt, it ends one")

    def _signal(self, sending: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(sending, name=f"signal to {self._job.name}")
        self._signals.add(task)
        task.add_done_callback(self._signals.discard)

    async def _begin(self, action: Action, effect: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._effect_action == action:
            return
        await self._end_effect()
        self._effect_action = action
        self._effect = asyncio.create_task(
            self._perform(effect()), name=f"{action} {self._job.name}"
        )

    async def _end_effect(self) -> None:
        if self._effect is not None and not self._effect.done():
            self._effect.cancel()
            await asyncio.wait({self._effect})

    async def _perform(self, effect: Coroutine[Any, Any, None]) -> None:
        """Sort what goes wrong: the caller's doing, or the machine's."""
        try:
            await effect
        except (ChannelError, ArchiveError, EngineError, LookupError) as error:
            self._client_error = str(error)
        except OSError as error:
            if error.errno in _DISK_FULL:
                self._client_error = (
                    f"No space left on the disk of {self._site.home} while the job was in "
                    f"{self._effect_action}. Free some and create the job again."
                )
            else:
                self._internal_error = f"{type(error).__name__}: {error}"
        finally:
            self._changed()

    async def end(self) -> None:
        """End whatever goes on: effects, programs, uploads. All log lines are readable then."""
        await self._end_effect()
        await self._kill_all()
        await _ended(self._checkpoint_task)
        await _ended(self._group_task)
        for task in self._signals:
            task.cancel()
        for host in self._hosts:
            await host.capture.close()
            host.lease.release()
        if self._meeting is not None:
            await self._meeting.close()

    async def save_checkpoints(self) -> None:
        """Upload the checkpoints that an attempt left, before its folders go."""
        config = self._job.request.get("CheckpointConfig")
        if config is not None and self.folder.is_dir():
            self._staging.mkdir(exist_ok=True)
            await self._checkpoints_of(config).upload(final=True)

    async def _kill_all(self) -> None:
        instances = [host.instance for host in self._running if host.instance is not None]
        await asyncio.gather(*(instance.kill() for instance in instances))
        watches = [host.watch for host in self._hosts if host.watch is not None]
        if watches:
            await asyncio.wait(watches)

    # -- prepare ----------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        await in_thread(nofollow.remove_tree, self.folder)
        self._staging.mkdir(parents=True)
        demand = demand_of(opt_ml.instance_type(self._job))
        started_s = int(self._site.clock.now().timestamp())
        leases = self._site.shares.lease(demand, len(self._folders))
        for number, (folder, lease) in enumerate(zip(self._folders, leases, strict=True)):
            capture = LogCapture(
                self._site.logs,
                LOG_GROUP,
                f"{self._job.name}/{folder.name}-{started_s}",
                self._site.clock,
                self._metrics.on_line,
            )
            host = _Host(number, folder, lease, capture)
            self._hosts.append(host)
        self._meeting = await meeting.open_meeting(
            self._job,
            self._site.engine,
            self.folder,
            [lease.address for lease in leases],
            self._site.endpoint_url,
        )
        for host in self._hosts:
            opt_ml.create(host.base, self._job, host.number, self._meeting.interface)
        self._prepared = True

    # -- download ---------------------------------------------------------------------------------

    async def _download(self) -> None:
        self._billed_from = self._site.clock.now()
        for host in self._hosts:
            for channel in self._job.request.get("InputDataConfig", ()):
                await self._place_channel(host, channel)
            await self._place_code(host)
        config = self._job.request.get("CheckpointConfig")
        if config is not None:
            self._checkpoints = self._checkpoints_of(config)
            await self._checkpoints.restore()
        self._downloaded = True

    async def _place_channel(self, host: _Host, channel: Mapping[str, Any]) -> None:
        files = await channels.resolve(
            self._site.objects,
            channel,
            instance=host.number,
            num_instances=len(self._hosts),
            role_arn=self._job.request["RoleArn"],
            region=self._site.scope.region,
        )
        for warning in files.warnings:
            host.capture.say(warning)
        target = host.base / "input" / "data" / files.name
        if files.name == opt_ml.DRIVERS:
            await placement.place(files, target, "copy", self._restat)
            base = None if self._site.engine.can_mount else host.base
            assert self._meeting is not None
            shared = self._meeting.network is None and len(self._hosts) > 1
            await in_thread(opt_ml.adapt_drivers, target, base=base, shared_network=shared)
            return
        if self._site.strategy != "mount":
            await placement.place(files, target, self._site.strategy, self._restat)
            return
        kept = self.folder / "channels" / host.name / files.name
        view = View(source=kept / "tree", target=target, scratch=kept / "scratch")
        view.scratch.mkdir(parents=True)
        await placement.place(files, view.source, "mount", self._restat)
        host.views.append(view)

    def _restat(self, old: StoredObject) -> StoredObject | None:
        return self._site.objects.stat(old.bucket, old.key)

    async def _place_code(self, host: _Host) -> None:
        uri = opt_ml.submit_archive(self._job)
        if uri is None:
            return
        try:
            code = S3Location.parse(uri)
            await placement.unpack_object(self._site.objects, code, host.base / "code")
        except LookupError:
            raise ChannelError(
                f"Data download failed:the code in {uri} (hyperparameter "
                "sagemaker_submit_directory) does not exist"
            ) from None
        except ArchiveError as error:
            raise ArchiveError(f"the code in {uri} cannot be unpacked: {error}") from error

    def _checkpoints_of(self, config: Mapping[str, Any]) -> Checkpoints:
        return Checkpoints(config, self._trees, self._staging, self._site.objects, self._site.clock)

    # -- run --------------------------------------------------------------------------------------

    async def _run(self) -> None:
        if self._checkpoints is not None:
            self._checkpoint_task = asyncio.create_task(self._checkpoints.run())
        if (note := version_note(self._image, self._site.images.python(self._image))) is not None:
            self._say(note)
        if (notice := distribution.notice_at_start(self._job)) is not None:
            self._say(f"Warning: {notice}")
        assert self._meeting is not None
        if meeting.is_isolated(self._job) and self._meeting.network is None:
            self._say(
                "Warning: EnableNetworkIsolation is not enforced: on this host the engine "
                f"{self._site.engine.name} has no networks for jobs. The program gets no "
                "credentials, but it can reach the internet."
            )
        for host in self._hosts:
            host.instance = await self._site.engine.start(self._spec(host, self._meeting))
            host.watch = asyncio.create_task(self._watch(host, host.instance))
        if len(self._running) == len(self._hosts) > 1:
            self._group = GroupWatch(self._site.clock, self._site.linked, self._meeting.port)
            instances = [host.instance for host in self._hosts if host.instance is not None]
            self._group_task = asyncio.create_task(self._group.run(instances))
        self._changed()

    def _environment(self, base: Path) -> dict[str, str]:
        request, site = self._job.request, self._site
        return {
            **site.images.environment(self._image),
            "PYTHONUNBUFFERED": "1",
            "TORCH_HOME": str(site.torch_home),
            **{k: opt_ml.rewrite(v, base) for k, v in request.get("Environment", {}).items()},
            "SAGEMAKER_BASE_DIR": str(base),
            "TRAINING_JOB_NAME": self._job.name,
            "TRAINING_JOB_ARN": self._job.arn,
            "AWS_REGION": site.scope.region,
            "AWS_DEFAULT_REGION": site.scope.region,
            "FOGBANK_OVERLAYS": str(site.overlays),
            **self._access_variables(),
        }

    def _access_variables(self) -> dict[str, str]:
        """Where the cloud is, and the keys of the job's role."""
        role, site = self._job.request["RoleArn"], self._site
        try:
            credentials = site.keyring.issue_role_session(
                role,
                _SESSION_NAME,
                duration_s=max_runtime_s(self._job) + GRACE_S + _SESSION_RESERVE_S,
                now=site.clock.now(),
            )
        except LookupError:
            raise LookupError(f"the role {role} does not exist") from None
        if meeting.is_isolated(self._job):
            return {}
        return {
            "AWS_ENDPOINT_URL": site.endpoint_url,
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
        }

    @property
    def _image(self) -> str:
        return str(self._job.request["AlgorithmSpecification"].get("TrainingImage", ""))

    def _spec(self, host: _Host, place: Meeting) -> InstanceSpec:
        algorithm = self._job.request["AlgorithmSpecification"]
        own = [*algorithm.get("ContainerEntrypoint", ()), *algorithm.get("ContainerArguments", ())]
        argv = [opt_ml.rewrite(argument, host.base) for argument in own]
        site = self._site
        return InstanceSpec(
            name=f"training/{self._job.name}/{host.name}",
            folder=host.folder,
            base=host.base,
            argv=tuple(argv) or site.images.command(self._image, TRAINING_IMAGE),
            env={**self._environment(host.base), **place.variables},
            cwd=host.base,
            share=host.lease.share,
            address=place.addresses[host.number],
            attachment=place.attachment(host.number),
            output=host.capture.feed,
            views=tuple(host.views),
            hidden=(site.home,) if site.engine.can_mount else (),
            kept=(site.torch_home, site.overlays, *site.images.folders_in(site.home)),
            binds=(Bind(host.base, opt_ml.ROOT),) if site.engine.can_mount else (),
        )

    async def _watch(self, host: _Host, instance: Instance) -> None:
        end = await instance.wait()
        await _ended(self._group_task)
        await host.capture.close()
        failure = nofollow.read_head(
            host.folder, _BASE, "output", "failure", size_bytes=_FAILURE_BYTES
        )
        host.ended = True
        self._exits.append(
            InstanceExit(
                instance=host.name,
                code=end.code,
                signal=end.signal,
                out_of_memory=end.oom,
                memory_share_bytes=host.lease.share.memory_bytes,
                failure=failure.decode(errors="replace").strip()[:FAILURE_REASON_CHARS],
                last_words=end.last_words,
                at=self._site.clock.now(),
            )
        )
        self._changed()

    # -- upload -----------------------------------------------------------------------------------

    async def _upload(self, with_model: bool) -> None:
        await self._kill_all()
        await _ended(self._checkpoint_task)
        self._staging.mkdir(parents=True, exist_ok=True)
        if self._job.failure_reason is None:
            await self._look_for_copies()
        config = self._job.request["OutputDataConfig"]
        try:
            await self.save_checkpoints()
            if self._output.has("output", "data"):
                place = S3Location.parse(config["S3OutputPath"])
                place = place.child(f"{self._job.name}/output/output.tar.gz")
                await self._output.upload_archive(("output", "data"), place)
            if with_model:
                place = S3Location.parse(self._job.model_artifacts)
                if config.get("CompressionType") == "NONE":
                    await self._output.upload_files(("model",), place)
                else:
                    await self._output.upload_archive(("model",), place)
        except LookupError as error:
            raise ChannelError(f"Artifact upload failed:{error}") from error
        self._uploaded = True

    async def _look_for_copies(self) -> None:
        if self._group is None or self._billed_from is None:
            return
        models = [(trusted, (*below, "model")) for trusted, below in self._trees]
        checkpoints: list[Tree]
        if self._checkpoints is None:
            checkpoints = [(trusted, (*below, "checkpoints")) for trusted, below in self._trees]
        else:
            checkpoints = self._checkpoints.folders
        evidence = await self._group.evidence(models, checkpoints)
        billed_s = (self._site.clock.now() - self._billed_from).total_seconds()
        warning = distribution.copies(self._job, evidence, billed_s)
        if warning is not None:
            self._warning = warning
            self._say(f"Warning: {warning}")

    def _say(self, text: str) -> None:
        if self._hosts:
            self._hosts[0].capture.say(text)


async def _ended(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait until it is over."""
    if task is not None:
        task.cancel()
        await asyncio.wait({task})
