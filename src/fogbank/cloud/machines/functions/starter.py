"""How an execution environment is put together: folder, share, variables, command.

In: a version and what it is for. Out: an `Environment` that has not been initialised yet.
Variables: "Using Lambda environment variables" (Lambda Developer Guide).
"""

from __future__ import annotations

import math
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fogbank.cloud.machines.engine import Bind, InstanceSpec
from fogbank.cloud.machines.functions.environment import Environment, EnvironmentParts, InitType
from fogbank.cloud.machines.functions.function_log import FunctionLog, OutputPipe
from fogbank.cloud.machines.functions.layers import VersionFiles, VersionStore
from fogbank.cloud.machines.functions.runtime import FunctionRuntime
from fogbank.cloud.machines.nofollow import remove_tree
from fogbank.cloud.machines.shares import Demand, Lease
from fogbank.cloud.machines.site import Site
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.records.function import FunctionVersion
from fogbank.cloud.rules import function_lines as lines

MB_PER_VCPU = 1769
"""At this memory a function has one virtual CPU ("Configure Lambda function memory")."""

CREDENTIALS_S = 30 * 24 * 3600
"""How long an environment's credentials last: longer than any environment here."""

MAX_OPEN_FILES = 1024
"""File descriptors of an environment ("Lambda quotas")."""

TASK = Path("/var/task")
OPT = Path("/opt")

_COMMAND = f'ulimit -n {MAX_OPEN_FILES}; out=$0; exec "$@" >"$out" 2>&1'


def log_group(version: FunctionVersion) -> str:
    """Where its lines go: of its own, unless LoggingConfig names another."""
    configured: Mapping[str, str] = version.settings.get("LoggingConfig") or {}
    return configured.get("LogGroup") or f"/aws/lambda/{version.function}"


@dataclass(frozen=True, slots=True)
class _Places:
    """What the program knows as its folders."""

    task: Path
    opt: Path
    binds: tuple[Bind, ...]


def _with_runtime_api(spec: InstanceSpec, port: int) -> InstanceSpec:
    api = {"AWS_LAMBDA_RUNTIME_API": f"{spec.address}:{port}"}
    return replace(spec, env={**spec.env, **api})


class EnvironmentStarter:
    """root: below it, each environment has a folder. `use` first: what they run in."""

    def __init__(self, site: Site, store: VersionStore, root: Path) -> None:
        self._site = site
        self._store = store
        self._root = root
        self._made: FunctionRuntime | None = None

    def use(self, runtime: FunctionRuntime) -> None:
        """From now on environments run in this."""
        self._made = runtime

    @property
    def _runtime(self) -> FunctionRuntime:
        assert self._made is not None, "not started"
        return self._made

    async def __call__(self, version: FunctionVersion, init_type: InitType) -> Environment:
        """Raises LookupError (role, code or layer has gone), ValueError, OSError."""
        site = self._site
        files = await self._store.files(version)
        demand = Demand(
            max(1, math.ceil(version.memory_mb / MB_PER_VCPU)), version.memory_mb * lines.MIB
        )
        (lease,) = site.shares.lease(demand)
        unique = secrets.token_hex(16)
        folder = self._root / f"{version.function}-{unique}"
        try:
            base = folder / "base"
            (base / "tmp").mkdir(parents=True)
            places = await self._place(files, base)
            log = FunctionLog(
                site.logs,
                log_group(version),
                lines.stream_name(version.version, unique, site.clock.now()),
                site.clock,
            )
            spec = self._spec(version, init_type, lease, folder, places, log)
        except BaseException:
            lease.release()
            await in_thread(remove_tree, folder)
            raise

        async def put_away() -> None:
            lease.release()
            await in_thread(remove_tree, folder)

        return Environment(
            EnvironmentParts(
                id=unique,
                version=version,
                init_type=init_type,
                engine=site.engine,
                clock=site.clock,
                log=log,
                output=OutputPipe(base / "output", log.feed, site.clock),
                address=lease.address,
                spec=lambda port: _with_runtime_api(spec, port),
                put_away=put_away,
                init_line=lines.init_start(
                    self._runtime.version, self._runtime.arn(site.scope.region)
                ),
                notice=self._runtime.substitute_notice(version.runtime),
            )
        )

    async def _place(self, files: VersionFiles, base: Path) -> _Places:
        """Where the engine can mount, the files are at AWS's places and cannot be changed.
        Elsewhere each environment has a copy."""
        if not self._site.engine.can_mount:
            task, opt = base / "task", base / "opt"
            await in_thread(shutil.copytree, files.task, task, symlinks=True)
            if files.opt is not None:
                await in_thread(shutil.copytree, files.opt, opt, symlinks=True)
            return _Places(task, opt, ())
        binds = [Bind(files.task.resolve(), TASK, read_only=True)]
        if files.opt is not None:
            # Each entry by itself: the host's own /opt may hold the interpreter.
            for entry in sorted(files.opt.iterdir()):
                binds.append(Bind(entry.resolve(), OPT / entry.name, read_only=True))
        return _Places(TASK, OPT, tuple(binds))

    def _spec(
        self,
        version: FunctionVersion,
        init_type: InitType,
        lease: Lease,
        folder: Path,
        places: _Places,
        log: FunctionLog,
    ) -> InstanceSpec:
        site = self._site
        base = folder / "base"
        return InstanceSpec(
            name=f"function/{version.function}/{version.version}/{folder.name[-8:]}",
            folder=folder,
            base=base,
            argv=(
                *("/bin/sh", "-c", _COMMAND, str(base / "output")),
                *(str(self._runtime.python), "-m", "awslambdaric", version.handler),
            ),
            env=self._environment(version, init_type, places, log),
            # Where it is mounted, the host has no such folder: the program starts below it.
            cwd=places.task,
            # A function's memory is its own limit, whatever else runs on the host.
            share=replace(lease.share, memory_bytes=version.memory_mb * lines.MIB),
            address=lease.address,
            output=log.feed,
            nice=0,
            hidden=(site.home,) if site.engine.can_mount else (),
            kept=(
                self._runtime.folder,
                *self._runtime.sources,
                *site.images.folders_in(site.home),
            ),
            binds=places.binds,
            tmp=base / "tmp",
        )

    def _environment(
        self,
        version: FunctionVersion,
        init_type: InitType,
        places: _Places,
        log: FunctionLog,
    ) -> dict[str, str]:
        site = self._site
        try:
            credentials = site.keyring.issue_role_session(
                version.role_arn,
                version.function,
                duration_s=CREDENTIALS_S,
                now=site.clock.now(),
            )
        except LookupError:
            raise LookupError(
                f"The role {version.role_arn} of function {version.function} does not exist."
            ) from None
        python = f"python{self._runtime.version.split(':')[1].rpartition('.')[0]}"
        modules = (places.task, places.opt / "python/lib" / python / "site-packages")
        return {
            "PATH": f"{self._runtime.python.parent}:/usr/local/bin:/usr/bin:/bin:{places.opt}/bin",
            "LD_LIBRARY_PATH": f"{places.task}:{places.task}/lib:{places.opt}/lib",
            "PYTHONPATH": ":".join(map(str, (*modules, places.opt / "python"))),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_ENDPOINT_URL": site.endpoint_url,
            **version.environment,
            "_HANDLER": version.handler,
            "_X_AMZN_TRACE_ID": "",
            "LAMBDA_TASK_ROOT": str(places.task),
            "LAMBDA_RUNTIME_DIR": str(self._runtime.folder),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
            "AWS_REGION": site.scope.region,
            "AWS_DEFAULT_REGION": site.scope.region,
            "AWS_LAMBDA_FUNCTION_NAME": version.function,
            "AWS_LAMBDA_FUNCTION_VERSION": version.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": init_type,
            "AWS_LAMBDA_LOG_GROUP_NAME": log.group,
            "AWS_LAMBDA_LOG_STREAM_NAME": log.stream,
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
        }
