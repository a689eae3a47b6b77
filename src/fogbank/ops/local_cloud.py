"""The local cloud as a process of its own: find it, start it, stop it.

Comes in: a state folder and, for a start, port, account and region. Goes out: where it answers.
The door is the server's: `<home>/cloud.json` says where it is while it runs, `<home>/cloud.log` is
its log, `<home>/credentials.json` has its keys, GET /_fogbank/health says that it answers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from fogbank.aws import Aws, Credentials
from fogbank.core.clock import Clock
from fogbank.core.errors import InputError, WorldError

START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
HEALTH_TIMEOUT_S = 5.0
_LOOK_EVERY_S = 0.05

_HOME_IN_USE, _PORT_TAKEN = 3, 4
"""Exit codes of the server."""

_NUM_LOG_LINES = 20


class PortTaken(InputError):
    """Somebody else listens where the cloud should."""


class NotRunning(WorldError):
    """There is no cloud of that folder."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a cloud is started with."""

    port: int = 4566
    account: str = "123456789012"
    region: str = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class RunningCloud:
    """What a cloud says about itself."""

    pid: int
    port: int
    url: str
    home: Path
    engine: str
    engine_reason: str
    account: str
    region: str
    version: str
    started: str
    """ISO 8601, UTC."""
    time_scale: float
    """How many times faster than real time alarms, cooldowns and metric periods pass."""

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> RunningCloud:
        """Raises KeyError, TypeError or ValueError where `facts` are not a cloud's."""
        return cls(
            pid=int(facts["pid"]),
            port=int(facts["port"]),
            url=str(facts["url"]),
            home=Path(facts["home"]),
            engine=str(facts["engine"]),
            engine_reason=str(facts["engine_reason"]),
            account=str(facts["account"]),
            region=str(facts["region"]),
            version=str(facts["version"]),
            started=str(facts["started"]),
            time_scale=float(facts["time_scale"]),
        )


class _Child:
    """A process that this one started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._exit_code: int | None = None

    def poll(self) -> int | None:
        """The exit code once it has ended (negative: the signal), None before."""
        if self._exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code


class LocalCloud:
    """The cloud whose state is in `home`.

    clock, pause: time, and waiting for that many seconds.
    """

    def __init__(self, home: Path, *, clock: Clock, pause: Callable[[float], None]) -> None:
        self.home = home.expanduser().resolve()
        self._clock = clock
        self._pause = pause

    @property
    def log_path(self) -> Path:
        return self.home / "cloud.log"

    def find(self) -> RunningCloud | None:
        """The cloud, if it runs and answers."""
        noted = self._noted()
        if noted is None:
            return None
        health = ask_health(noted.url)
        # Another cloud may have come to the port, or another process to the number.
        return health if health is not None and health.pid == noted.pid else None

    def _noted(self) -> RunningCloud | None:
        """What cloud.json says. It outlives a cloud that was killed."""
        try:
            return RunningCloud.from_json(json.loads((self.home / "cloud.json").read_text()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise WorldError(
                f"{self.home / 'cloud.json'} is damaged ({error}): remove it and start the cloud "
                "again."
            ) from error

    def start(self, settings: Settings) -> tuple[RunningCloud, bool]:
        """Returns the cloud, and whether it was started by this call, once it answers.

        Raises PortTaken; WorldError with the end of its log where it does not come up.
        """
        running = self.find()
        if running is not None:
            return running, False
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            log = self.log_path.open("ab")
        except OSError as error:
            raise InputError(
                f"the cloud's folder {self.home} cannot be used ({error.strerror}): choose "
                "another with --home or FOGBANK_HOME."
            ) from error
        with log:
            log_start = log.tell()
            # Not subprocess.Popen: the cloud is to outlive this process, and a Popen object that
            # is thrown away while its process runs warns of a leak.
            pid = os.posix_spawn(
                sys.executable,
                self._command(settings),
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
                ],
                # Ctrl-C in the terminal ends the command that started the cloud, not the cloud.
                setsid=True,
            )
        try:
            return self._wait_for_answer(_Child(pid), settings, log_start)
        except KeyboardInterrupt:
            os.kill(pid, signal.SIGTERM)
            raise

    def _command(self, settings: Settings) -> list[str]:
        return [
            *(sys.executable, "-m", "fogbank.cloud"),
            *("--home", str(self.home)),
            *("--port", str(settings.port)),
            *("--account", settings.account),
            *("--region", settings.region),
        ]

    def _wait_for_answer(
        self, process: _Child, settings: Settings, log_start: int
    ) -> tuple[RunningCloud, bool]:
        limit_s = self._clock.monotonic_s() + START_LIMIT_S
        while self._clock.monotonic_s() < limit_s:
            exit_code = process.poll()
            if exit_code == _PORT_TAKEN:
                raise PortTaken(_port_taken(settings.port))
            # Somebody else starts a cloud in this folder at the same time: theirs will do.
            if exit_code not in (None, _HOME_IN_USE):
                break
            running = self.find()
            if running is not None:
                return running, running.pid == process.pid
            self._pause(_LOOK_EVERY_S)
        else:
            os.kill(process.pid, signal.SIGTERM)
        raise WorldError(
            f"the cloud did not start. The end of its log ({self.log_path}):\n"
            + "\n".join(f"  {line}" for line in self._log_since(log_start))
        )

    def _log_since(self, start: int) -> list[str]:
        with self.log_path.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace").splitlines()[-_NUM_LOG_LINES:]

    def stop(self, limit_s: float = STOP_LIMIT_S) -> RunningCloud | None:
        """Stop the cloud and wait until it has ended; what it was, or None if it did not run.

        limit_s: how long it may take to stop by itself before it is killed.

        No signal is sent before the process has been recognised as this folder's cloud.
        """
        import psutil

        noted = self._noted()
        if noted is None:
            return None
        try:
            process = psutil.Process(noted.pid)
            if not self._is_ours(process, noted):
                return None
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=limit_s)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait()
        except psutil.NoSuchProcess:
            return None
        except psutil.AccessDenied as error:
            raise WorldError(
                f"process {noted.pid} belongs to another user: only they can stop it."
            ) from error
        return noted

    def _is_ours(self, process: Any, noted: RunningCloud) -> bool:
        """By its answer; or by its command line, where it hangs and does not answer."""
        health = ask_health(noted.url)
        if health is not None:
            return health.pid == noted.pid
        command = process.cmdline()
        return "fogbank.cloud" in command and str(self.home) in command

    def credentials(self, identity: str = "notebook") -> Credentials:
        """Of `root`, or of the notebook role's session. Raises WorldError where there are none."""
        path = self.home / "credentials.json"
        try:
            keys = json.loads(path.read_text())[identity]
            return Credentials(
                access_key_id=keys["AccessKeyId"],
                secret_access_key=keys["SecretAccessKey"],
                session_token=keys.get("SessionToken"),
            )
        except (OSError, ValueError, KeyError) as error:
            raise WorldError(
                f"{path} cannot be read ({error}): stop the cloud and start it again, it writes "
                "the file when it starts."
            ) from error

    def aws(self, running: RunningCloud) -> Aws:
        """Clients for it, with the notebook role's session."""
        return Aws(
            url=running.url,
            account=running.account,
            region=running.region,
            credentials=self.credentials(),
        )


def ask_health(url: str) -> RunningCloud | None:
    """What answers at `url`, if it is a cloud of ours."""
    # Never through a proxy that the environment names: the cloud is on this machine.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"{url}/_fogbank/health", timeout=HEALTH_TIMEOUT_S) as answer:
            facts = json.load(answer)
        return RunningCloud.from_json(facts) if facts.get("status") == "ok" else None
    except (URLError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _port_taken(port: int) -> str:
    other = ask_health(f"http://127.0.0.1:{port}")
    owner = f"the Fogbank cloud of {other.home}" if other else "another program"
    return f"port {port} is taken by {owner}: choose another with --port or FOGBANK_PORT" + (
        ", or use that cloud with --home or FOGBANK_HOME." if other else "."
    )


def variables(running: RunningCloud, credentials: Credentials) -> dict[str, str]:
    """The environment in which any AWS client talks to the cloud."""
    found = {
        "AWS_ENDPOINT_URL": running.url,
        "AWS_REGION": running.region,
        "AWS_DEFAULT_REGION": running.region,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if credentials.session_token is not None:
        found["AWS_SESSION_TOKEN"] = credentials.session_token
    return found


_MISLEADING = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


def environment(outer: Mapping[str, str], inner: Mapping[str, str]) -> dict[str, str]:
    """`outer` with `inner`, and without what would lead a client somewhere else: profiles, other
    sources of credentials, endpoints of single services (they win over AWS_ENDPOINT_URL)."""
    kept = {
        name: value
        for name, value in outer.items()
        if name not in _MISLEADING and not name.startswith("AWS_ENDPOINT_URL_")
    }
    no_proxy = kept.get("NO_PROXY") or kept.get("no_proxy") or ""
    hosts = [host for host in no_proxy.split(",") if host]
    if any(name.lower() in ("http_proxy", "all_proxy") for name in kept):
        hosts += [host for host in ("127.0.0.1", "localhost") if host not in hosts]
        kept["NO_PROXY"] = kept["no_proxy"] = ",".join(hosts)
    return {**kept, **inner}
