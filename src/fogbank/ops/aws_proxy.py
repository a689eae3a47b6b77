"""An HTTP proxy that answers for AWS: CONNECT sts.us-east-1.amazonaws.com -> the local cloud.

In: the port of a cloud and the number of a process. For as long as that process lives, clients
whose HTTPS_PROXY names this proxy find the cloud behind every host of AWS, whatever endpoint they
insist on; requests to other hosts are refused, or passed on where `network` says so. It listens on
the loopback interface only.

`python -m fogbank.ops.aws_proxy --cloud-port P --process N --log FILE [--network]` goes into the
background and prints {"port": ..., "ca_bundle": ...} when it answers. It ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import socket
import ssl
import sys
import tempfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import botocore
from botocore.loaders import Loader

from fogbank.core.clock import SystemClock
from fogbank.ops.certificates import Authority, bundle

log = logging.getLogger("fogbank.aws_proxy")

_HEAD_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024
_CLOSE_LIMIT_S = 1.0
_HTTPS = 443
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def aws_domains() -> tuple[str, ...]:
    """Below which domains the services of AWS answer, in every partition that botocore knows."""
    partitions = Loader().load_data("partitions")["partitions"]
    found = {
        partition["outputs"][name]
        for partition in partitions
        for name in ("dnsSuffix", "dualStackDnsSuffix")
    }
    return tuple(sorted(found))


def is_below(host: str, domains: Sequence[str]) -> bool:
    """Whether `host` is one of the domains or a name below one."""
    host = host.lower().rstrip(".")
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What happens to a connection.

    cloud_port: where the cloud answers on 127.0.0.1.
    domains:    whose hosts are the cloud's.
    network:    whether other hosts may be reached at all.
    outer:      proxies through which they are reached, as `getproxies_environment` has them.
    """

    cloud_port: int
    domains: Sequence[str]
    network: bool
    outer: Mapping[str, str]


class _Refused(Exception):
    """Answered to the client: status line and text."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


class AwsProxy:
    """`answer` is the callback of asyncio.start_server."""

    def __init__(self, policy: Policy, authority: Authority) -> None:
        self._policy = policy
        self._authority = authority

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first line to its end. Never raises."""
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            # A client that does not trust the authority ends here, and so does one that went away.
            log.info("a connection ended early: %s", error)
        finally:
            await _closed(writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        try:
            host, port = _connect_target(head)
            for_cloud = is_below(host, self._policy.domains)
            upstream = await (self._open_cloud() if for_cloud else self._open_outside(host, port))
        except _Refused as refused:
            log.warning("%s", refused)
            _write_refusal(writer, refused)
            await writer.drain()
            return
        try:
            writer.write(_ESTABLISHED)
            await writer.drain()
            if for_cloud:
                await writer.start_tls(self._authority.context(host))
            await _join((reader, writer), upstream)
        finally:
            await _closed(upstream[1])

    async def _open_cloud(self) -> _Connection:
        port = self._policy.cloud_port
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            raise _Refused(
                "502 Bad Gateway", f"the cloud does not answer on port {port}: {error.strerror}"
            ) from None

    async def _open_outside(self, host: str, port: int) -> _Connection:
        if not self._policy.network:
            raise _Refused(
                "403 Forbidden",
                f"{host} is not a host of AWS, and `fogbank run` lets nothing leave this machine: "
                "use `fogbank run --network` to allow it",
            )
        try:
            return await self._open(host, port)
        except OSError as error:
            raise _Refused("502 Bad Gateway", f"{host}:{port} cannot be reached: {error}") from None

    async def _open(self, host: str, port: int) -> _Connection:
        """A connection to a host outside: straight, or through the proxy that was set before."""
        outer = dict(self._policy.outer)
        proxy = outer.get("https") or outer.get("all")
        if not proxy or proxy_bypass(host, outer):
            return await asyncio.open_connection(host, port)
        parts = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        default_port = _HTTPS if tls else 80
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port or default_port, ssl=tls
        )
        try:
            writer.write(_connect_request(f"{host}:{port}", parts.username, parts.password))
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if answer.split(None, 2)[1:2] != ["200"]:
                raise OSError(f"the proxy {parts.hostname} answered {answer.splitlines()[0]}")
        except BaseException:
            writer.close()
            raise
        return reader, writer


def _connect_target(head: bytes) -> tuple[str, int]:
    method, _, rest = head.decode("latin-1").partition("\r\n")[0].partition(" ")
    target = rest.partition(" ")[0]
    if method != "CONNECT":
        raise _Refused(
            "403 Forbidden",
            f"{target} is plain HTTP to another machine, which `fogbank run` does not allow: use "
            "`fogbank run --network`",
        )
    host, _, port = target.rpartition(":")
    if not host or not port.isdigit():
        raise _Refused("400 Bad Request", f"CONNECT {target} does not name HOST:PORT")
    return host.strip("[]"), int(port)


def _connect_request(target: str, user: str | None, password: str | None) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if user is not None:
        pair = f"{unquote(user)}:{unquote(password or '')}"
        lines.append(f"Proxy-Authorization: Basic {b64encode(pair.encode()).decode()}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _write_refusal(writer: asyncio.StreamWriter, refused: _Refused) -> None:
    body = f"{refused}\n".encode()
    head = (
        f"HTTP/1.1 {refused.status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)


async def _join(client: _Connection, upstream: _Connection) -> None:
    """Carry bytes both ways until both directions have ended, or one has broken."""
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_carry(client[0], upstream[1]))
            directions.create_task(_carry(upstream[0], client[1]))
    except* OSError as broken:
        log.info("a connection broke: %s", broken.exceptions[0])


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close it; what was written still goes out. After a TLS handshake that failed, asyncio never
    says that a connection is closed: hence the limit."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), _CLOSE_LIMIT_S)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:  # TLS has no half-closed connections
        writer.close()


async def serve(proxy: AwsProxy, listener: socket.socket, process: int) -> None:
    """Answer until the process behind the pidfd `process` has ended."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(process, ended.set)
    server = await asyncio.start_server(proxy.answer, sock=listener, limit=_HEAD_BYTES)
    await ended.wait()
    server.close()  # connections that a client of the process left behind end with this loop


def trusted_elsewhere(environment: Mapping[str, str]) -> str:
    """The certificates that clients in that environment trust already."""
    named = [
        environment.get(name)
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    ]
    found = [Path(name) for name in dict.fromkeys(named) if name and Path(name).is_file()]
    if not found:
        # Where the system has its certificates in no one file, botocore's copy of Mozilla's list.
        system = ssl.get_default_verify_paths().cafile
        found = [Path(system or Path(botocore.__file__).with_name("cacert.pem"))]
    return bundle([path.read_text() for path in found])


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="fogbank.ops.aws_proxy")
    parser.add_argument("--cloud-port", type=int, required=True)
    parser.add_argument("--process", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--network", action="store_true")
    given = parser.parse_args(arguments)

    process = os.pidfd_open(given.process)
    authority = Authority(SystemClock().now())
    policy = Policy(
        cloud_port=given.cloud_port,
        domains=aws_domains(),
        network=given.network,
        outer=getproxies_environment(),
    )
    listener = socket.create_server(("127.0.0.1", 0))
    folder = tempfile.TemporaryDirectory(prefix="fogbank-run-")
    certificates = Path(folder.name) / "ca-bundle.pem"
    certificates.write_text(bundle([authority.pem, trusted_elsewhere(os.environ)]))
    if os.fork() > 0:
        # Nobody's child: the command that runs in our place finds no process that it did not start.
        print(json.dumps({"port": listener.getsockname()[1], "ca_bundle": str(certificates)}))
        sys.stdout.flush()
        os._exit(0)
    os.setsid()
    _leave_terminal(given.log)
    with folder:
        asyncio.run(serve(AwsProxy(policy, authority), listener, process))


def _leave_terminal(file: Path) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(handle, 2)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )


if __name__ == "__main__":
    main()
