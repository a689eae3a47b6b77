"""The process that makes a job's network and keeps it. Started by `network.open_network`.

In: file descriptor FD, a socket to the cloud. Its first line is a JSON object:
    {"links": "veth" | "loopback", "addresses": ["10.77.0.1/16", ...], one for each instance,
     "cloud": [host, port] | null, "proxy": whether there is a way out, "environment": {...}}
Out: one JSON line, {"event": "ready", "user": fd, "net": [fd, ...], "proxy": port | null} or
{"event": "error", "message"}. Each fd is a namespace, which others enter by /proc/PID/fd/FD.

A child makes user and network namespaces and ends; open descriptors keep them here, and no longer
than that: when the cloud ends, also by SIGKILL, the socket closes and everything is gone. Sockets
belong to the network in which they were made. So this process, which is on the host's network,
accepts connections on sockets that the child made inside, and carries them on outside:

    program ── 127.0.0.1:4566 inside │ this process ── 127.0.0.1:4566 of the host ── cloud

veth      Each instance has a network namespace with an interface eth0 and ports of its own. The
          other ends of the cables are plugged into a switch in a namespace without a process.
loopback  For kernels without veth or bridge: the instances share a namespace, and each has an
          address of its own on its loopback interface. Ports are the job's, not the instance's.

Nobody inside can change the links: they belong to a user namespace above the program's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from pathlib import Path
from typing import Any

from fogbank.cloud.machines.egress import HttpProxy, to_cloud
from fogbank.cloud.machines.enter import CLONE_NEWNET, call, own_namespaces
from fogbank.cloud.machines.netlink import LOOPBACK, Netlink, index

_BACKLOG = 512
_BUFFER_BYTES = 256 * 1024
_WIDEST = 65536
_PROXY_ADDRESS = "127.0.0.1"


@dataclass(slots=True)
class _Made:
    """Descriptors of what the child has made."""

    user: int
    switch: list[int] = field(default_factory=list)
    net: list[int] = field(default_factory=list)
    to_cloud: list[int] = field(default_factory=list)
    proxy: list[int] = field(default_factory=list)

    def each(self) -> Iterator[tuple[str, int]]:
        yield "user", self.user
        for kind in ("switch", "net", "to_cloud", "proxy"):
            for handle in getattr(self, kind):
                yield kind, handle


def _make(order: dict[str, Any]) -> _Made:
    """Everything inside. Raises OSError where the kernel does not allow or have it."""
    own_namespaces(CLONE_NEWNET)
    made = _Made(os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC))
    addresses = [ip_interface(address) for address in order["addresses"]]
    if order["links"] == "veth":
        _make_star(made, addresses, order)
    else:
        _make_shared(made, addresses, order)
    return made


def _make_star(
    made: _Made, addresses: Sequence[IPv4Interface | IPv6Interface], order: dict[str, Any]
) -> None:
    with contextlib.closing(Netlink()) as switch:
        switch.add_bridge("switch")
        switch.set_up("switch")
        made.switch.append(_this_network())  # with its namespace go the cables
        number = index("switch")
        for host, address in enumerate(addresses):
            call("unshare", CLONE_NEWNET)
            made.net.append(_this_network())
            port = f"port{host}"
            switch.add_cable(port, "eth0", made.net[-1])
            switch.connect(port, number)
            switch.set_up(port)
            with contextlib.closing(Netlink()) as here:
                here.add_address(index("eth0"), address)
                here.set_up("eth0")
                _furnish(here, made, order)


def _make_shared(
    made: _Made, addresses: Sequence[IPv4Interface | IPv6Interface], order: dict[str, Any]
) -> None:
    made.net += [_this_network()] * len(addresses)
    with contextlib.closing(Netlink()) as here:
        for address in addresses:
            here.add_address(index(LOOPBACK), ip_interface(address.ip))
        _furnish(here, made, order)


def _this_network() -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _furnish(here: Netlink, made: _Made, order: dict[str, Any]) -> None:
    """A loopback interface and the ways out, in the network that we are in."""
    here.set_up(LOOPBACK)
    # Root inside is not root here, but in a container it may listen on port 80.
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    if order["cloud"] is not None:
        host, port = order["cloud"]
        address = ip_address(host)
        if not address.is_loopback:
            here.add_address(index(LOOPBACK), ip_interface(address))
        made.to_cloud.append(_listen(host, port))
    if order["proxy"]:
        made.proxy.append(_listen(_PROXY_ADDRESS, _port_of(made.proxy)))


def _port_of(listeners: list[int]) -> int:
    """The port of the first one, for all: instances have equal environments. 0 before it."""
    if not listeners:
        return 0
    with socket.socket(fileno=os.dup(listeners[0])) as first:
        return int(first.getsockname()[1])


def _listen(host: str, port: int) -> int:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener.detach()


def _make_in_child(order: dict[str, Any]) -> _Made:
    """As `_make`, while this process stays where it is."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            for kind, handle in _make(order).each():
                socket.send_fds(theirs, [kind.encode()], [handle])
            theirs.send(b"done")
        except BaseException as error:
            theirs.send(b"error" + (str(error) or repr(error)).encode()[:_WIDEST])
        finally:
            os._exit(0)
    theirs.close()
    made = _Made(-1)
    with ours:
        while True:
            message, handles, _, _ = socket.recv_fds(ours, _WIDEST, 1)
            if message.startswith(b"error") or not message:
                os.waitpid(pid, 0)
                raise OSError(message[5:].decode(errors="replace") or "its child was killed")
            if message == b"done":
                os.waitpid(pid, 0)
                return made
            if message == b"user":
                made.user = handles[0]
            else:
                getattr(made, message.decode()).extend(handles)


async def _serve(order: dict[str, Any], made: _Made, channel: socket.socket) -> None:
    """Carry connections until the cloud closes the socket."""
    reader, _ = await asyncio.open_connection(sock=channel)
    proxy = HttpProxy(order["environment"])
    for handle in made.to_cloud:
        await asyncio.start_server(
            to_cloud(*order["cloud"]), sock=socket.socket(fileno=handle), limit=_BUFFER_BYTES
        )
    for handle in made.proxy:
        await asyncio.start_server(
            proxy.handle, sock=socket.socket(fileno=handle), limit=_BUFFER_BYTES
        )
    await reader.read()
    os._exit(0)  # at once: what still goes through has nobody at one end


def main(handle: int) -> None:
    """`handle`: see the top of this file."""
    channel = socket.socket(fileno=handle)
    channel.set_inheritable(False)
    line = b""
    while not line.endswith(b"\n"):
        piece = channel.recv(_WIDEST)
        if not piece:
            return
        line += piece
    order = json.loads(line)
    try:
        made = _make_in_child(order)
    except OSError as error:
        channel.sendall(json.dumps({"event": "error", "message": str(error)}).encode() + b"\n")
        return
    ready = {
        "event": "ready",
        "user": made.user,
        "net": made.net,
        "proxy": _port_of(made.proxy) or None,
    }
    channel.sendall(json.dumps(ready).encode() + b"\n")
    asyncio.run(_serve(order, made, channel))


if __name__ == "__main__":
    main(int(sys.argv[1]))
