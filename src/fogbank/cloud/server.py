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

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from fogbank.cloud.app import Cloud, Settings, build
from fogbank.cloud.context import BodyStream, Headers, Request, Response
from fogbank.cloud.errors import ServiceError
from fogbank.core.clock import SystemClock
from fogbank.core.errors import InputError, WorldError

log = logging.getLogger("fogbank.server")

HEALTH_PATH = "/_fogbank/health"
BAD_SETTINGS, HOME_IN_USE, PORT_TAKEN = 2, 3, 4
GRACE_S = 10
MAX_UNREAD_BYTES = 8 * 1024 * 1024
"""How much of a refused body is read away before the connection is closed instead."""

BACKLOG = 2048


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
class HttpDoor:
    """The ASGI application: HTTP in, the cloud's answer out; and the health page."""

    cloud: Cloud
    facts: dict[str, Any]

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        assert scope["type"] == "http", "lifespan and websockets are switched off"
        if scope["path"] == HEALTH_PATH:
            body = json.dumps({"status": "ok", **self.facts}).encode()
            response = Response(200, {"content-type": "application/json"}, body)
        else:
            incoming = _RequestBody(scope, receive)
            response = await self.cloud.handle(_request(scope, incoming))
            if not await incoming.finish():
                response.headers["connection"] = "close"
        await _send(response, scope["method"], send)


class _RequestBody:
    """The body of one request, as it comes in."""

    def __init__(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> None:
        headers = dict(scope["headers"])
        self._receive = receive
        self._begun = False
        self._waits = headers.get(b"expect", b"").lower() == b"100-continue"
        self._ended = headers.get(b"content-length", b"0") == b"0" and (
            b"transfer-encoding" not in headers
        )

    async def pieces(self) -> BodyStream:
        self._begun = True
        while not self._ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ServiceError(
                    "IncompleteBody", "The client went away before it had sent the whole body."
                )
            assert message["type"] == "http.request"
            self._ended = not message["more_body"]
            if message["body"]:
                yield message["body"]

    async def finish(self) -> bool:
        """Whether the connection can take another request after this one's answer.

        An answer that comes before the body has been read leaves it in the connection, where it
        would be taken for the next request. A client that waits for `100 Continue` never sends it;
        of the others, a little is read away so that they find the answer.
        """
        if self._ended or (self._waits and not self._begun):
            return self._ended
        left_bytes = MAX_UNREAD_BYTES
        try:
            async for piece in self.pieces():
                left_bytes -= len(piece)
                if left_bytes < 0:
                    return False
        except ServiceError:  # it has gone: nobody to answer
            return False
        return True


def _request(scope: HTTPScope, body: _RequestBody) -> Request:
    headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
    )
    return Request(
        method=scope["method"],
        raw_path=scope["raw_path"].decode("latin-1"),
        raw_query=scope["query_string"].decode("latin-1"),
        headers=Headers(headers),
        receive=body.pieces,
        source_ip=scope["client"][0] if scope["client"] else "",
    )


async def _send(response: Response, method: str, send: ASGISendCallable) -> None:
    body = response.body
    names = {name.lower() for name in response.headers}
    headers = [
        (k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in response.headers.items()
    ]
    headers += [(b"set-cookie", cookie.encode("latin-1")) for cookie in response.cookies]
    if isinstance(body, bytes) and "content-length" not in names and response.status != 204:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if isinstance(body, bytes):
        content = b"" if method == "HEAD" else body
        await send({"type": "http.response.body", "body": content, "more_body": False})
        return
    try:
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    finally:
        # A client that went away ends this in the middle: the file behind the stream is closed now,
        # not when the garbage is collected.
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


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
    config = uvicorn.Config(
        HttpDoor(cloud, facts),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:
        server.should_exit = True

    # While uvicorn answers it has handlers of its own for these, and it raises the signal again
    # when it is done. Ours take a signal that comes before that, and make the one that comes after
    # harmless, so that the cloud can still put things away.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    await cloud.start()
    # What is there now stays: modules, models, tables. The garbage collector need not look through
    # it again and again while requests wait (some 20 ms a full collection).
    gc.collect()
    gc.freeze()
    answering = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not answering.done():
            await clock.sleep(0.005)
        _write_facts(settings.home, facts)
        log.info("the cloud answers on %s, its folder is %s", settings.url, settings.home)
        await answering
    finally:
        (settings.home / "cloud.json").unlink(missing_ok=True)
        await cloud.stop()
        log.info("the cloud has stopped")


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
