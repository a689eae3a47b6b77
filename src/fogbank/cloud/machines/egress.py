"""Ways out of a job's network: to the cloud, and to the world through an HTTP proxy.

In: connections from inside. Out: connections of this process, which is on the host's network.
A program inside knows the proxy by HTTP_PROXY and HTTPS_PROXY; where the host itself needs a proxy
to get out, this one asks that. Sources: RFC 9110, 9.3.6 (CONNECT); RFC 9112, 3.2.2 (absolute form).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import proxy_bypass

_PIECE_BYTES = 256 * 1024
_HEAD_LIMIT_S = 60
_PORTS = {"http": 80, "https": 443}
_HOP_BY_HOP = ("connection", "proxy-connection", "proxy-authorization", "keep-alive")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def relay(inside: Streams, outside: Streams) -> None:
    """Carry bytes both ways until both ends have said all, or one is gone; then both are closed."""
    ways = [
        asyncio.create_task(_carry(inside[0], outside[1])),
        asyncio.create_task(_carry(outside[0], inside[1])),
    ]
    try:
        await asyncio.gather(*ways)
    except OSError:
        pass  # one end has broken off: so does the other, below
    finally:
        for way in ways:
            way.cancel()
        for _, writer in (inside, outside):
            writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


def to_cloud(host: str, port: int) -> Handler:
    """Every connection leads to the cloud, byte for byte: what it signs and sees is as before."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            cloud = await asyncio.open_connection(host, port, limit=_PIECE_BYTES)
        except OSError:
            writer.close()  # as when nobody listens
            return
        await relay((reader, writer), cloud)

    return handle


class BadRequest(Exception):
    """What came is nothing for a proxy."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The head of a request to a proxy. url: of a CONNECT, https:// and what it names."""

    method: str
    url: SplitResult
    version: str
    headers: tuple[str, ...]

    @property
    def host(self) -> str:
        return self.url.hostname or ""

    @property
    def port(self) -> int:
        return self.url.port or _PORTS[self.url.scheme]

    @property
    def is_tunnel(self) -> bool:
        return self.method == "CONNECT"

    def head(self, *, to_proxy: str | None) -> bytes:
        """What is sent on: to a server, or to the next proxy with its `Proxy-Authorization`.

        One request a connection: the next one may be for somebody else."""
        if self.is_tunnel:
            target = self.url.netloc
        elif to_proxy is None:
            target = (self.url.path or "/") + (f"?{self.url.query}" if self.url.query else "")
        else:
            target = self.url.geturl()
        kept = [line for line in self.headers if line.partition(":")[0].lower() not in _HOP_BY_HOP]
        if not self.is_tunnel:
            kept.append("Connection: close")
        if to_proxy:
            kept.append(f"Proxy-Authorization: {to_proxy}")
        return "\r\n".join([f"{self.method} {target} {self.version}", *kept, "", ""]).encode()


def parse(head: bytes) -> Asked:
    """Raises BadRequest."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest("this is no HTTP/1.1 request")
    method, target, version = words
    try:
        url = urlsplit(f"https://{target}" if method == "CONNECT" else target)
        valid = url.scheme in _PORTS and bool(url.hostname) and url.port != 0
    except ValueError:  # half an IPv6 address; a port that is no number
        valid = False
    if not valid or (method != "CONNECT" and url.scheme != "http"):
        raise BadRequest(
            "this is a proxy: it answers CONNECT host:port and METHOD http://host/path"
        )
    return Asked(method, url, version, tuple(line for line in lines[1:] if line))


class HttpProxy:
    """environment: the host's; its HTTP_PROXY, HTTPS_PROXY and NO_PROXY say how to get out."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        proxies = {k.removesuffix("_proxy"): v for k, v in _lower(environment).items()}
        self._proxies = {kind: url for kind, url in proxies.items() if url}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection from inside."""
        try:
            async with asyncio.timeout(_HEAD_LIMIT_S):
                asked = parse(await reader.readuntil(b"\r\n\r\n"))
        except (BadRequest, asyncio.LimitOverrunError) as error:
            return await _refuse(writer, 400, "Bad Request", str(error))
        except (OSError, asyncio.IncompleteReadError):  # it went away, or said nothing for long
            return writer.close()
        try:
            outside = await self._open(asked, writer)
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
            return await _refuse(writer, 502, "Bad Gateway", f"{asked.host}:{asked.port}: {error}")
        await relay((reader, writer), outside)

    async def _open(self, asked: Asked, writer: asyncio.StreamWriter) -> Streams:
        upstream = self._upstream("https" if asked.is_tunnel else "http", asked)
        if upstream is None:
            found = await asyncio.open_connection(asked.host, asked.port, limit=_PIECE_BYTES)
            if asked.is_tunnel:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                found[1].write(asked.head(to_proxy=None))
            return found
        found = await asyncio.open_connection(
            upstream.hostname,
            upstream.port or _PORTS[upstream.scheme],
            ssl=upstream.scheme == "https" or None,
            limit=_PIECE_BYTES,
        )
        found[1].write(asked.head(to_proxy=_authorization(upstream)))
        return found

    def _upstream(self, kind: str, asked: Asked) -> SplitResult | None:
        url = self._proxies.get(kind) or self._proxies.get("all")
        if not url or proxy_bypass(f"{asked.host}:{asked.port}", self._proxies):
            return None
        try:
            found = urlsplit(url if "://" in url else f"http://{url}")
            usable = found.scheme in _PORTS and bool(found.hostname) and found.port != 0
        except ValueError:  # its text may show a password
            raise OSError("the address of the host's proxy is none") from None
        if not usable:
            raise OSError(f"the host's proxy {found.scheme}://{found.hostname} is not one for HTTP")
        return found


def _lower(environment: Mapping[str, str]) -> dict[str, str]:
    """The proxies' variables by their lower-case names, which win where both are set."""
    found = {k.lower(): v for k, v in environment.items() if k.lower().endswith("_proxy")}
    return found | {k: v for k, v in environment.items() if k in found}


def _authorization(proxy: SplitResult) -> str:
    if proxy.username is None:
        return ""
    words = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return f"Basic {base64.b64encode(words.encode()).decode()}"


async def _refuse(writer: asyncio.StreamWriter, status: int, phrase: str, why: str) -> None:
    body = f"{why}\n".encode()
    writer.write(
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    with contextlib.suppress(OSError):
        await writer.drain()
    writer.close()
