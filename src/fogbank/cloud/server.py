"""The cloud as a process: one port, one folder, signals, a graceful stop.

`serve` takes the folder's lock, binds the port, starts the cloud, answers HTTP, and says where it
is in `<home>/cloud.json` for as long as it runs. Exit codes: 0 stopped, 2 a setting that cannot be,
3 the folder is in use, 4 the port is taken.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import logging
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fogbank.cloud.app import Cloud, Settings, build
from fogbank.cloud.context import Request, Response
from fogbank.cloud.http1.server import BACKLOG, HttpServer
from fogbank.core.clock import SystemClock
from fogbank.core.errors import InputError, WorldError

log = logging.getLogger("fogbank.server")

HEALTH_PATH = "/_fogbank/health"
BAD_SETTINGS, HOME_IN_USE, PORT_TAKEN = 2, 3, 4
GRACE_S = 10
_STOPS = (signal.SIGTERM, signal.SIGINT)


class HomeInUse(WorldError):
    """Another cloud holds the folder's lock."""


class PortTaken(WorldError):
    """Somebody else listens on the port."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """The health page, and the cloud behind it. Answers as `http1.connection.Answer` says."""

    cloud: Cloud
    facts: dict[str, Any]

    async def answer(self, request: Request) -> Response:
        if request.raw_path == HEALTH_PATH:
            body = json.dumps({"status": "ok", **self.facts}).encode()
            return Response(200, {"content-type": "application/json"}, body)
        return await self.cloud.handle(request)


def _lock(home: Path) -> int:
    """Hold `<home>/lock` until this process ends, however it ends."""
    handle = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise HomeInUse(
            f"{home} is in use by another Fogbank cloud (`fogbank cloud status` shows it). "
            "Choose another folder with --home or FOGBANK_HOME to run a second one."
        ) from None
    return handle


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Two sockets may be bound to one port with SO_REUSEADDR as long as neither listens.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"cannot listen on {host}:{port}: {error.strerror}. "
            "Choose another port with --port or FOGBANK_PORT."
        ) from None
    return listener


def _write_facts(home: Path, facts: dict[str, Any]) -> None:
    temporary = home / "cloud.json.new"
    temporary.write_text(json.dumps(facts, indent=2) + "\n")
    temporary.replace(home / "cloud.json")


async def _serve(settings: Settings, listener: socket.socket) -> None:
    clock = SystemClock()
    cloud = await build(settings, clock)
    facts = {
        "pid": os.getpid(),
        "port": settings.port,
        "url": settings.url,
        "home": str(settings.home),
        "engine": cloud.engine_name,
        "engine_reason": cloud.engine_reason,
        "time_scale": settings.time_scale,
        "account": settings.scope.account,
        "region": settings.scope.region,
        "version": settings.version,
        "started": clock.now().isoformat(timespec="seconds"),
    }
    server = HttpServer(FrontDoor(cloud, facts).answer, clock, grace_s=GRACE_S)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOPS:
        loop.add_signal_handler(number, stop.set)
    await cloud.start()
    # What is there now stays: modules, models, tables. The garbage collector need not look through
    # it again and again while requests wait (some 20 ms a full collection).
    gc.collect()
    gc.freeze()
    try:
        await server.start(listener)
        _write_facts(settings.home, facts)
        log.info("the cloud answers on %s, its folder is %s", settings.url, settings.home)
        await stop.wait()
        await server.stop()
    finally:
        (settings.home / "cloud.json").unlink(missing_ok=True)
        await cloud.stop()
        log.info("the cloud has stopped")
        for number in _STOPS:  # one more that comes now is harmless: we are as good as gone
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


def serve(settings: Settings, *, log_level: str = "INFO") -> int:
    """Run until a signal says stop. Returns the exit code."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=log_level, handlers=[handler], force=True)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        lock = _lock(settings.home)
        listener = _bind(settings.host, settings.port)
    except HomeInUse as error:
        log.error("%s", error)
        return HOME_IN_USE
    except PortTaken as error:
        log.error("%s", error)
        return PORT_TAKEN
    (settings.home / "cloud.json").unlink(missing_ok=True)  # of a cloud that was killed
    bound = settings.on_port(listener.getsockname()[1])
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(bound, listener))
    except InputError as error:
        log.error("%s", error)
        return BAD_SETTINGS
    finally:
        listener.close()
        os.close(lock)
    return 0


def _loop_factory() -> Any:
    import uvloop

    return uvloop.new_event_loop
